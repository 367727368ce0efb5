from itertools import islice

import pytest
from mmengine.dataset import InfiniteSampler
from mmpretrain.registry import DATA_SAMPLERS

from dhm_plugin import InfinitePartSampler


def drawn(images, seed, number):
    return list(islice(InfinitePartSampler(range(50), images, seed=seed), number))


def test_each_seed_goes_through_its_part():
    indices = drawn(8, 3, 24)
    rounds = [indices[start : start + 8] for start in (0, 8, 16)]
    assert set(rounds[0]) == set(rounds[1]) == set(rounds[2])
    assert len(set(rounds[0])) == 8
    assert rounds[0] != rounds[1] != rounds[2]
    assert drawn(8, 3, 24) == indices
    assert set(drawn(8, 4, 8)) != set(rounds[0])
    assert max(max(drawn(8, seed, 8)) for seed in range(9)) > 40
    assert set(drawn(5, 3, 5)) < set(rounds[0])
    sampler = InfinitePartSampler(range(50), 8, shuffle=False, seed=3)
    assert list(islice(sampler, 16)) == sampler.part * 2


def test_the_whole_of_it_is_no_part():
    assert set(drawn(50, 0, 50)) == set(range(50))
    assert isinstance(
        DATA_SAMPLERS.get('InfinitePartSampler')(range(2), 1), InfiniteSampler
    )


def test_without_a_seed_all_processes_draw_the_same_part(monkeypatch):
    monkeypatch.setattr('mmengine.dataset.sampler.sync_random_seed', lambda: 3)
    assert (
        InfinitePartSampler(range(50), 8).part
        == InfinitePartSampler(range(50), 8, seed=3).part
    )


@pytest.mark.parametrize('images', [0, 51])
def test_refuses_what_is_no_part(images):
    with pytest.raises(ValueError, match=f'images={images}; .* at most 50, the number'):
        InfinitePartSampler(range(50), images)
