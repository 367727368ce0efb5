from types import SimpleNamespace

from mmengine.hooks import EMAHook
from mmengine.runner import get_priority
from torch import nn

from dhm_plugin import BroadcastBuffersHook
from process_group import run_in_two


def _process(rank, folder):
    norm = nn.BatchNorm1d(3)
    norm.running_mean.fill_(1 + rank)
    BroadcastBuffersHook().before_val_epoch(SimpleNamespace(model=norm))
    assert norm.running_mean.tolist() == [1, 1, 1]


def test_all_processes_validate_with_the_statistics_of_the_first_one(tmp_path):
    run_in_two(_process, tmp_path)


def test_comes_after_the_average_is_taken():
    ours, theirs = (get_priority(x.priority) for x in (BroadcastBuffersHook, EMAHook))
    assert ours > theirs
