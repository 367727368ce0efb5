import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.runner import runner

from paths import ROOT
from studies import results, run, worker
from studies.training import Training, initial_weights
from studies.worker import train, workers

PLAIN = ROOT / 'configs/plain/resnet20_1xb64_digits.py'
# It draws at random which branches are forked, and augments at random.
FORKED = ROOT / 'configs/ablations/resnet20_dhm-fork0.5_1xb64_digits.py'
SHORT = {
    'train_dataloader.dataset.dataset.indices': 128,
    'val_dataloader.dataset.indices': 128,
    'train_cfg.max_epochs': 2,
}


def stop_the_clock():
    """Let all trainings of this process begin in one second, as some do."""
    now = time.localtime()
    runner.time = SimpleNamespace(
        time=lambda: 0.0, localtime=lambda *_: now, strftime=time.strftime
    )


def test_nothing_depends_on_what_ran_before(tmp_path, monkeypatch, tool_env):
    for name, value in {**tool_env, 'CUDA_VISIBLE_DEVICES': ''}.items():
        monkeypatch.setenv(name, value)
    alone = Training(FORKED, 0, tmp_path / 'alone, lr=0.05', SHORT)
    other = Training(PLAIN, 3, tmp_path / 'other', {**SHORT, 'train_cfg.max_epochs': 1})
    after = Training(FORKED, 0, tmp_path / 'after', SHORT)
    broken = {**SHORT, 'train_dataloader.dataset.dataset.split': 'none'}
    broken = Training(FORKED, 0, tmp_path / 'broken', broken)
    start = initial_weights([alone])
    assert ',' in str(start)
    with workers(1) as pool:
        # As the environment says; of two cores its share would be two.
        assert pool.submit(torch.get_num_threads).result() == 1
        pool.submit(stop_the_clock).result()
        for training in (alone, broken, other, after):
            future = pool.submit(train, *training.command(start))
            if training is not broken:
                future.result()
                continue
            text = (
                rf'^{FORKED.stem}_seed0: failed; .*train\.log ends:(.|\n)*Digits: split='
            )
            with pytest.raises(RuntimeError, match=text):
                future.result()
    weights, rows = [], []
    for training in (alone, after):
        checkpoint = torch.load(training.work_dir / 'epoch_2.pth', weights_only=False)
        weights.append(checkpoint['state_dict'])
        rows.append({**training.result(), 'seconds': 0})
    assert rows[0] == rows[1]
    assert rows[0]['nll_side0'] > 0
    assert 0 < rows[0]['ece_ensemble'] < 100
    assert weights[0].keys() == weights[1].keys()
    for key, value in weights[0].items():
        assert torch.equal(value, weights[1][key]), key
    # Each has its own log.
    text = (after.work_dir / 'train.log').read_text()
    assert text.count('Epoch(val) [2]') == 1
    assert 'Epoch(val) [1]' in text


def test_by_iterations_it_goes_on_where_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr('studies.training.CHECKPOINTS', 2)
    base = tmp_path / 'base.py'
    base.write_text(
        f"""
_base_ = '{FORKED}'

train_dataloader = dict(
    sampler=dict(_delete_=True, type='InfinitePartSampler', images=100)
)
optim_wrapper = dict(type='OptimWrapper')
param_scheduler = [dict(type='CosineAnnealingLR', by_epoch=False, end=400)]
train_cfg = dict(_delete_=True, by_epoch=False, max_iters=400)
"""
    )
    training = Training(base, 0, tmp_path, name='short', iterations=4)
    start = initial_weights([training])
    last = training.work_dir / 'iter_4.pth'
    states, rows = [], []
    for part in range(2):
        name, *arguments = training.command(start)
        train(f'{name}_{part}', *arguments)
        states.append(torch.load(last, weights_only=False))
        rows.append({**training.result(), 'seconds': 0})
        # Its folder is named by the second, in which the next may start.
        (log,) = training.work_dir.glob('2*/*.log')
        log.parent.rename(training.work_dir / f'{part}')
        # Killed after its second iteration.
        last.unlink()
        (training.work_dir / 'last_checkpoint').write_text('iter_2.pth')
    logs = [log.read_text() for log in sorted(training.work_dir.glob('*/*.log'))]
    assert ['resumed epoch: ' in log for log in logs] == [False, True]
    assert rows[0] == rows[1]
    assert rows[0]['iterations'] == 4
    for key, value in states[0]['state_dict'].items():
        assert torch.equal(value, states[1]['state_dict'][key]), key


@pytest.mark.parametrize('on_test', [False, True])
def test_a_training_that_diverges(on_test, tmp_path, monkeypatch):
    monkeypatch.setattr('studies.run.workers', lambda jobs: ThreadPoolExecutor(jobs))
    options = {**SHORT, 'optim_wrapper.optimizer.lr': 1e30}
    training = Training(PLAIN, 0, tmp_path, options, on_test=on_test)
    csv = tmp_path / 'results.csv'
    if on_test:
        with pytest.raises(RuntimeError, match=r'resnet20_\w+_seed0: failed; '):
            run.train([training], 1, csv)
        assert not csv.exists()
        return
    run.train([training], 1, csv)
    (row,) = results.read(csv)
    assert row['main'] == 'nan'
    run.train([training], 1, csv)  # there is nothing left to do


@pytest.mark.parametrize('given', [3, None])
def test_threads_are_those_of_the_environment_or_a_share(given, monkeypatch):
    pools = []
    monkeypatch.setattr(worker, 'ProcessPoolExecutor', lambda *args: pools.append(args))
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    if given:
        monkeypatch.setenv('OMP_NUM_THREADS', str(given))
    workers(1)
    ((jobs, _, begin, threads),) = pools
    assert jobs == 1
    assert begin is worker._begin
    assert threads == (given or len(os.sched_getaffinity(0)),)


@pytest.mark.skipif(not Path('/proc').is_dir(), reason='Linux ends it')
def test_a_worker_ends_when_its_study_is_killed():
    reading, writing = os.pipe()
    study = os.fork()
    if not study:
        try:
            if not os.fork():
                worker._begin(torch.get_num_threads())
                os.write(writing, b'%d' % os.getpid())
            time.sleep(60)
        finally:
            os._exit(0)
    pid = int(os.read(reading, 20))
    os.kill(study, signal.SIGKILL)
    os.waitpid(study, 0)
    deadline = time.monotonic() + 20
    status = Path(f'/proc/{pid}/status')
    while status.is_file() and 'State:\tZ' not in status.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.close(reading)
    os.close(writing)
