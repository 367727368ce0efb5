import json
from collections import Counter
from types import SimpleNamespace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from dhm_plugin import DeferredRuntimeInfoHook
from dhm_plugin.engine.hooks import deferred_runtime_info_hook

DEFERRED = {'default_hooks.runtime_info.type': 'DeferredRuntimeInfoHook'}


def log(folder):
    (path,) = folder.glob('*/vis_data/scalars.json')
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    timings = ('time', 'data_time', 'memory')
    return [{key: row[key] for key in row if key not in timings} for row in rows]


@pytest.mark.parametrize('interval', [2, 10])
def test_the_log_is_the_same(interval, train, history, tmp_path):
    options = {'default_hooks.logger.interval': interval, 'train_cfg.max_epochs': 2}
    reference = train('reference', **options)
    runner = train('deferred', **options, **DEFERRED)
    assert log(tmp_path / 'deferred') == log(tmp_path / 'reference')
    scalars = {key for key in reference.message_hub.log_scalars if 'time' not in key}
    assert any('loss_mimic' in key for key in scalars)
    for key in scalars:
        assert history(runner, key) == history(reference, key)


class Fetches(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.calls = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.calls[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))


def test_one_fetch_a_line_of_the_log(train):
    options = {'default_hooks.logger.interval': 3, 'train_dataloader.batch_size': 120}
    fetches = []
    for hook in ({}, DEFERRED):
        with Fetches() as counted:
            train(f'run{len(fetches)}', **options, **hook)
        fetches.append(counted.calls['_local_scalar_dense'])
    # Six iterations with seven values: the sum and the two losses of three branches.
    assert fetches[0] - fetches[1] == 6 * 7


def test_keeps_no_graph():
    hook = DeferredRuntimeInfoHook()
    runner = SimpleNamespace(hooks=[], train_dataloader=[None] * 9)
    loss = torch.ones(2, requires_grad=True).sum()
    hook.after_train_iter(runner, 0, outputs=dict(loss=loss))
    assert hook._pending[0]['loss'].grad_fn is None


def test_a_checkpoint_between_two_lines_has_the_whole_history(train, tmp_path):
    options = {
        'default_hooks.logger.interval': 10,
        'default_hooks.checkpoint.by_epoch': False,
        'default_hooks.checkpoint.interval': 2,
    }
    train('deferred', **options, **DEFERRED)
    checkpoint = torch.load(tmp_path / 'deferred' / 'iter_2.pth', weights_only=True)
    assert len(checkpoint['message_hub']['log_scalars']['train/loss'].data[0]) == 2


def test_a_checkpoint_with_nested_metainfo_can_be_read(train, tmp_path):
    """Seen: it put back what ResumeHook had made plain, and nobody could resume."""
    metainfo = {'train_dataloader.dataset.dataset.metainfo': dict(groups=dict(even=[0]))}
    train('deferred', **metainfo, **DEFERRED)
    checkpoint = torch.load(tmp_path / 'deferred' / 'epoch_1.pth', weights_only=True)
    info = checkpoint['message_hub']['runtime_info']['dataset_meta']
    assert info['groups'] == {'even': [0]}


def test_without_a_log_it_keeps_no_more_than_a_bound(train, monkeypatch):
    kept = []

    def hand_over(hook, runner):
        kept.append(len(hook._pending))
        theirs(hook, runner)

    theirs = DeferredRuntimeInfoHook._hand_over
    monkeypatch.setattr(DeferredRuntimeInfoHook, '_hand_over', hand_over)
    monkeypatch.setattr(deferred_runtime_info_hook, '_KEPT', 2)
    loop = dict(_delete_=True, by_epoch=False, max_iters=7, val_interval=100)
    train('run', train_cfg=loop, **{'default_hooks.logger': None}, **DEFERRED)
    assert max(kept) == 2
    assert sum(kept) == 7
