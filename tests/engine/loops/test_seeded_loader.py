import pytest
from torch.utils.data import DataLoader, IterableDataset

from dhm_plugin.datasets.seeded_batches import SeededBatches
from dhm_plugin.engine.loops.seeded_loader import seeded_loader
from resumption import build, config


class Stream(IterableDataset):
    def __iter__(self):
        yield from range(4)


@pytest.fixture(scope='module')
def runner(tmp_path_factory):
    return build(config(), tmp_path_factory.mktemp('work'))


def test_what_mmengine_reads_of_a_data_loader_stays(runner):
    loader = seeded_loader(runner, config().train_dataloader)
    assert isinstance(loader.batch_sampler, SeededBatches)
    assert loader.batch_size == loader.batch_sampler.batch_size == 4
    assert loader.batch_sampler.sampler is loader.sampler
    assert loader.sampler.seed == loader.batch_sampler.seed == runner.seed
    assert len(loader) == 4


def test_processes_of_different_seeds_share_the_order(tmp_path, monkeypatch):
    monkeypatch.setattr('mmengine.dataset.sampler.sync_random_seed', lambda: 77)
    runner = build(config(**{'randomness.diff_rank_seed': True}), tmp_path)
    loader = seeded_loader(runner, config().train_dataloader)
    assert loader.sampler.seed == 77
    assert loader.batch_sampler.seed == runner.seed == 0


def test_a_data_loader_that_is_built(runner):
    loader = DataLoader(range(5), batch_size=2)
    assert seeded_loader(runner, loader) is loader
    assert [batch.tolist() for batch in loader] == [[0, 1], [2, 3], [4]]


@pytest.mark.parametrize(
    'loader', [DataLoader(Stream(), batch_size=2), DataLoader(range(4), batch_size=None)]
)
def test_without_batches_of_indices_it_stays(loader, runner):
    before = loader.batch_sampler
    assert seeded_loader(runner, loader).batch_sampler is before
