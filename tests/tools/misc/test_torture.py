import re
import shutil

import pytest
import torch

import tiny
import torture
from killable_training import KillableTraining
from paths import ROOT

TORTURE = ROOT / 'tools/misc/torture.py'


@pytest.mark.one_stack
def test_nothing_differs(inline, tmp_path):
    config = tmp_path / 'short.py'
    config.write_text(
        f"""
_base_ = '{ROOT}/configs/dhm/resnet20_dhm_1xb64_digits.py'
model = dict(backbone=dict(depth=8))
train_dataloader = dict(batch_size=60, dataset=dict(dataset=dict(indices=120)))
val_dataloader = dict(dataset=dict(indices=60))
"""
    )
    options = ('--', '--cfg-options', 'train_cfg.max_epochs=2')
    text = inline(TORTURE, config, '--kills', 2, '--seed', 1, *options)
    assert re.search(
        r'^\| \d+\.\d\d s after its start \| (epoch_\d|none) \|$', text, re.M
    )
    assert re.search(r'\n\| (in the write of .*|after a file was moved .*) \| ', text)
    summary = r'short\.py: 2 kills in [12] trainings of 2 checkpoints and \d+\.\d s; \d+ '
    assert re.search(rf'^{summary}files compared, 0 differences$', text, re.M)


@pytest.fixture
def trainings(tmp_path):
    """An unbroken training and a copy of it, as if it had been killed."""
    unbroken = KillableTraining(tmp_path / 'unbroken', 'config', [])
    tiny.runner(
        unbroken.work_dir,
        2,
        visualizer=dict(
            type='UniversalVisualizer', vis_backends=[dict(type='LocalVisBackend')]
        ),
    ).train()
    unbroken.written.mkdir()
    for path in unbroken.work_dir.glob('*.pth'):
        shutil.copy(path, unbroken.written / f'{path.stem}.1.pth')
    killed = KillableTraining(tmp_path / 'killed', 'config', [])
    shutil.copytree(unbroken.folder, killed.folder)
    return killed, unbroken


def test_names_what_differs(trainings):
    killed, unbroken = trainings
    assert [*torture.compare(killed, unbroken)] == []
    # One more version, with another momentum in its last bit.
    path = killed.written / 'epoch_2.2.pth'
    content = torch.load(killed.work_dir / 'epoch_2.pth', weights_only=False)
    momentum = content['optimizer']['state'][0]['momentum_buffer']
    momentum.view(torch.int32)[0, 0] ^= 1
    torch.save(content, path)
    place = 'optimizer/state/0/momentum_buffer'
    assert [*torture.compare(killed, unbroken)] == [f'{path}: {place}']
    path.unlink()
    # One that should have been removed, another log.
    path = killed.work_dir / 'epoch_1.pth'
    torch.save(content, path)
    (log,) = killed.work_dir.glob('*/vis_data/scalars.json')
    log.write_text(
        log.read_text().replace('"accuracy/top1": 0.5', '"accuracy/top1": 0.4')
    )
    assert [*torture.compare(killed, unbroken)] == [
        f'{path}: the file',
        f'{killed.work_dir}: the log of accuracy/top1',
    ]


def test_says_how_a_training_fails(tmp_path):
    (tmp_path / 'broken.py').write_text('model = dict(')
    training = KillableTraining(tmp_path, tmp_path / 'broken.py', [])
    with pytest.raises(RuntimeError, match=r'(?s)broken\.py .* failed:\n.*SyntaxError'):
        training.run()
