import pytest
import torch
from mmengine.logging import MessageHub

from dhm_plugin.models.iteration_seed import IterationSeed


@pytest.fixture(autouse=True)
def hub():
    """A message hub of its own, as each runner has."""
    hub = MessageHub.get_instance('test_iteration_seed')
    yield hub
    hub.runtime_info.clear()


def numbers(seed, hub, iterations):
    drawn = []
    for iteration in iterations:
        hub.update_info('iter', iteration)
        drawn.append(int(seed.next_sequence().generate_state(1)[0]))
    return drawn


def test_seed_and_iteration_alone_count(hub):
    unbroken = numbers(IterationSeed(), hub, range(8))
    assert len(set(unbroken)) == 8
    torch.rand(3)
    assert numbers(IterationSeed(), hub, range(5, 8)) == unbroken[5:]
    torch.manual_seed(1)
    assert numbers(IterationSeed(), hub, range(8)) != unbroken


def test_with_a_runner_the_seed_is_the_runners(hub):
    torch.manual_seed(5)
    expected = numbers(IterationSeed(), hub, range(3))
    hub.update_info('seed', 5)
    torch.manual_seed(1)
    assert numbers(IterationSeed(), hub, range(3)) == expected


def test_calls_of_one_iteration_differ(hub):
    first = numbers(IterationSeed(), hub, [3, 3, 3])
    assert len(set(first)) == 3
    assert numbers(IterationSeed(), hub, [3, 3, 3]) == first


def test_processes_share_it_or_not(hub, monkeypatch):
    """With ``diff_rank_seed``, MMEngine seeds each process differently."""
    drawn = []
    for rank in (0, 1):
        torch.manual_seed(7 + rank)
        monkeypatch.setattr('mmengine.dist.get_rank', lambda rank=rank: rank)
        monkeypatch.setattr('mmengine.dist.broadcast', lambda tensor: tensor.fill_(7))
        seeds = (IterationSeed(), IterationSeed(each_process=True))
        drawn.append([numbers(seed, hub, range(3)) for seed in seeds])
    (shared, own), (shared_too, another) = drawn
    assert shared == shared_too
    assert own != another
