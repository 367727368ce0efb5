import pytest

from dhm_plugin import (
    BroadcastBuffersHook,
    CheckpointCheckHook,
    Digits,
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


def test_a_wrong_label_stops_a_training_that_names_no_hook(train, monkeypatch):
    def wrong(self):
        infos = load(self)
        infos[5]['gt_label'] = 10
        return infos

    load = Digits.load_data_list
    monkeypatch.setattr(Digits, 'load_data_list', wrong)
    dataset = dict(_delete_=True, type='Digits', split='train')
    with pytest.raises(ValueError, match='image 5 has the label 10'):
        train('wrong', custom_hooks=[], **{'train_dataloader.dataset': dataset})
