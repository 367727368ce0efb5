import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from studies import results, run
from studies.training import Training

PLAIN = Path('plain.py')


@dataclass(frozen=True)
class Quick(Training):
    """A training that takes a moment; the first seed fails before the others end."""

    length = 1

    def check(self, rows):
        pass

    def prepare(self):
        pass

    def step_flops(self):
        return 1.0

    def command(self, start):
        return (self.folder, self.seed)

    def result(self):
        return dict(config=self.name, seed=self.seed, seconds=0.3, main=90.0)


@pytest.fixture(autouse=True)
def _in_threads(monkeypatch):
    monkeypatch.setattr(run, 'workers', ThreadPoolExecutor)
    monkeypatch.setattr(run, 'initial_weights', lambda trainings: None)


def train_one(folder, seed):
    (folder / f'started{seed}').touch()
    time.sleep(0.1 if seed == 0 else 0.3)
    if seed == 0:
        raise RuntimeError('seed 0 failed')


def test_after_a_failure_no_training_is_started(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(run, 'train_one', train_one)
    csv = tmp_path / 'results.csv'
    trainings = [Quick(PLAIN, seed, tmp_path) for seed in range(8)]
    with pytest.raises(RuntimeError, match='seed 0 failed'):
        run.train(trainings, 2, csv)
    time.sleep(0.5)
    assert {path.name for path in tmp_path.glob('started*')} == {'started0', 'started1'}
    assert [row['seed'] for row in results.read(csv)] == ['1']
    text = capsys.readouterr().out
    assert '[1/8] plain, seed 0: failed\nWaiting for 1 more\n' in text
    assert ' left' not in text


@dataclass(frozen=True)
class Edited(Quick):
    """Its config is found changed when the third seed is to begin."""

    def command(self, start):
        if self.seed == 3:
            raise ValueError('begun with other settings')
        return super().command(start)


def fails_late(folder, seed):
    time.sleep(0.1 if seed == 1 else 0.3)
    if seed == 2:
        raise RuntimeError('seed 2 failed')


def test_rows_of_those_that_run_are_written_whatever_fails(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(run, 'train_one', fails_late)
    csv = tmp_path / 'results.csv'
    killed = tmp_path / '.results.abc.unfinished.csv'
    killed.touch()
    trainings = [Edited(PLAIN, seed, tmp_path) for seed in (1, 2, 4, 3)]
    with pytest.raises(ValueError, match='begun with other settings'):
        run.train(trainings, 3, csv)
    assert sorted(row['seed'] for row in results.read(csv)) == ['1', '4']
    # What is not raised is printed.
    assert 'plain, seed 2: failed:\nseed 2 failed\n' in capsys.readouterr().out
    assert not killed.exists()
