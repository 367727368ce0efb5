import pytest

from dhm_plugin import (
    BroadcastBuffersHook,
    CheckpointCheckHook,
    DueValidationHook,
    EndWithLauncherHook,
    FiniteCheckHook,
    LabelCheckHook,
    ResumeHook,
    SkippedStepsHook,
    WorkDirLockHook,
)

OF_ALL = [
    *(WorkDirLockHook, ResumeHook, BroadcastBuffersHook, DueValidationHook),
    *(EndWithLauncherHook, SkippedStepsHook, FiniteCheckHook),
]
SAFE = [*OF_ALL, LabelCheckHook, CheckpointCheckHook]


def ours(runner):
    return [type(hook) for hook in runner.hooks if type(hook) in SAFE]


@pytest.mark.parametrize('hooks', [[], None, [dict(type='CheckpointCheckHook')]])
def test_run_once_whatever_custom_hooks_says(train, hooks):
    runner = train('trained', custom_hooks=hooks)
    assert sorted(ours(runner), key=SAFE.index) == SAFE


def test_where_there_are_no_side_branches(train):
    assert {*ours(train('plain', method='plain', custom_hooks=[]))} == {*OF_ALL}
