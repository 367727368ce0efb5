import pickle
import random
from itertools import islice

import numpy as np
import pytest
import torch
from mmengine.dataset import DefaultSampler
from torch.utils.data import BatchSampler, DataLoader

from dhm_plugin.compat import replace_batch_sampler
from dhm_plugin.datasets.seeded_batches import SeededBatches, SeededIndices
from dhm_plugin.seeds import BATCH, seed_process


class Augmented:
    """Seven items with all kinds of random numbers, whose loading is counted."""

    def __init__(self):
        self.loaded = []

    def __len__(self):
        return 7

    def __getitem__(self, index):
        self.loaded.append(index)
        return index, random.random(), np.random.rand(), torch.rand(()).item()


def loader(seed=0, **options):
    dataset = Augmented()
    made = DataLoader(
        dataset,
        batch_size=2,
        sampler=DefaultSampler(dataset, shuffle=True, seed=3),
        collate_fn=list,
        **options,
    )
    replace_batch_sampler(made, SeededBatches(made.batch_sampler, seed))
    return made


@pytest.fixture(scope='module')
def two_rounds():
    """Two rounds of four batches, loaded by the process itself."""
    made = loader()
    rounds = []
    for first in (0, 4):
        made.batch_sampler.start(first)
        rounds.append(list(made))
    return rounds


def test_numbers_differ_between_batches_and_rounds(two_rounds):
    for column in (1, 2, 3):
        numbers = [item[column] for batches in two_rounds for b in batches for item in b]
        assert len(set(numbers)) == len(numbers) == 14


def test_a_round_without_a_batch():
    batches = SeededBatches(BatchSampler(range(5), 6, drop_last=True), seed=0)
    batches.start(0, endless=True)
    with pytest.raises(ValueError, match='no batch of 6 images'):
        next(iter(batches))


def test_workers_do_not_matter(two_rounds):
    made = loader(num_workers=2, persistent_workers=True)
    for first, batches in zip((0, 4), two_rounds):
        made.batch_sampler.start(first)
        assert list(made) == batches


def test_what_is_skipped_is_not_loaded(two_rounds):
    made = loader()
    made.batch_sampler.start(4, skip=3)
    assert list(made) == two_rounds[1][3:]
    assert len(made.dataset.loaded) == 1
    assert len(made) == 4
    # Once: whoever goes through the data after that gets all of it.
    assert list(made) == two_rounds[1]


def test_another_seed_or_process_has_other_numbers(two_rounds, monkeypatch):
    (batch, *_) = loader(seed=1)
    assert batch != two_rounds[0][0]
    monkeypatch.setattr('mmengine.dist.get_rank', lambda: 1)
    (batch, *_) = loader()
    assert batch != two_rounds[0][0]


def test_endless_rounds_have_the_orders_of_epochs():
    made = loader()
    made.batch_sampler.start(0, endless=True)
    indices = [[item[0] for item in batch] for batch in islice(made, 8)]
    expected = []
    for epoch in (0, 1):
        made.sampler.set_epoch(epoch)
        expected += list(BatchSampler(made.sampler, 2, False))
    assert indices == expected
    made.batch_sampler.start(0, skip=6, endless=True)
    assert [item[0] for item in next(iter(made))] == expected[6]


def test_indices_seed_whoever_goes_through_them():
    indices = SeededIndices([3, 4], 1, (BATCH, 0, 5))
    state = random.getstate()
    copied = pickle.loads(pickle.dumps(indices))
    assert random.getstate() == state
    assert [*copied] == [3, 4]
    drawn = random.random()
    seed_process(1, BATCH, 0, 5)
    assert random.random() == drawn
