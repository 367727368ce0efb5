from types import SimpleNamespace

import torch
from mmengine.hooks import EMAHook
from mmengine.runner import get_priority
from torch import nn

import warm_start
from dhm_plugin import BroadcastBuffersHook


def _process(rank, folder):
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/group', rank=rank, world_size=2
    )
    norm = nn.BatchNorm1d(3)
    norm.running_mean.fill_(1 + rank)
    BroadcastBuffersHook().before_val_epoch(SimpleNamespace(model=norm))
    torch.distributed.destroy_process_group()
    assert norm.running_mean.tolist() == [1, 1, 1]


def test_all_processes_validate_with_the_statistics_of_the_first_one(tmp_path):
    processes = [warm_start.start(_process, rank, tmp_path) for rank in range(2)]
    for process in processes:
        process.join(100)
    assert [process.exitcode for process in processes] == [0, 0]


def test_comes_after_the_average_is_taken():
    ours, theirs = (get_priority(x.priority) for x in (BroadcastBuffersHook, EMAHook))
    assert ours > theirs
