"""MMPretrain's command lines on a ResNet-18 config, cut to a few iterations."""

import json
import os
import re
import signal
import time
from pathlib import Path

import mmpretrain
import pytest
import torch

import warm_start
from locks import process_in
from paths import ROOT

CONFIG = ROOT / 'configs/dhm/resnet18_dhm_8xb32_in1k.py'
STOCK_TRAIN = Path(mmpretrain.__file__).parent / '.mim/tools/train.py'
PLAIN = ROOT / 'configs/plain/resnet18_8xb32_in1k.py'


def wait_for(condition, process, seconds=240):
    end = time.monotonic() + seconds
    while not condition():
        assert process.exitcode is None, 'the training ended before it could be killed'
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.fixture(scope='module')
def killed(tmp_path_factory, tool_env, imagenet, small):
    """A work folder whose training was killed after its first epoch."""
    folder = tmp_path_factory.mktemp('work')
    options = small(imagenet, 'train_cfg.max_epochs=100')
    (folder / 'out').touch()
    process = warm_start.start(
        warm_start.run_here,
        str(ROOT / 'tools/train.py'),
        [str(CONFIG), '--work-dir', str(folder), *options],
        *(str(ROOT), tool_env, str(folder / 'out')),
        env=tool_env,
    )
    try:
        wait_for((folder / 'last_checkpoint').exists, process)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.join()
    return folder


def test_train_kill_resume_test_strip(killed, python, imagenet, small, tmp_path):
    last = (killed / 'last_checkpoint').read_text()
    epoch = int(re.search(r'epoch_(\d+).pth', last).group(1))
    options = small(imagenet, f'train_cfg.max_epochs={epoch + 1}')

    # MMPretrain's installed script, from another folder, as a user starts it.
    train = ('--work-dir', killed, '--resume', *options)
    output = python(STOCK_TRAIN, CONFIG, *train, cwd=tmp_path)
    assert f'resumed epoch: {epoch}' in output
    assert f'Epoch(train) [{epoch + 1}][3/3]' in output
    assert f'Epoch(train) [{epoch}]' not in output
    for name in ('main', 'side0', 'side1'):
        assert f'loss_ce_{name}: ' in output
        assert f'loss_mimic_{name}: ' in output
    assert f'Epoch {epoch + 1}: skipped' in output
    assert 'class0/0.jpg' in output
    scalars = [
        json.loads(line)
        for path in killed.glob('*/vis_data/scalars.json')
        for line in path.read_text().splitlines()
    ]
    assert any(row.get('unreadable_images', 0) >= 1 for row in scalars)
    assert list(killed.glob('*/vis_data/events.out.tfevents*'))

    checkpoint = killed / f'epoch_{epoch + 1}.pth'
    tested = python(
        *(ROOT / 'tools/test.py', CONFIG, checkpoint, '--work-dir', tmp_path / 'test'),
        *('--out', tmp_path / 'dhm.pkl', *small(imagenet)),
    )
    accuracy = re.search(r'accuracy/top1: ([\d.]+)\s+accuracy/top5: ([\d.]+)', tested)
    assert accuracy

    stripped = tmp_path / 'stripped.pth'
    python(ROOT / 'tools/model_converters/strip_side_branches.py', checkpoint, stripped)
    plain = python(
        *(ROOT / 'tools/test.py', PLAIN, stripped, '--work-dir', tmp_path / 'test'),
        *('--out', tmp_path / 'plain.pkl', *small(imagenet)),
    )
    assert accuracy.group(0) in plain
    assert 'do not match' not in plain
    assert 'unexpected key' not in plain
    meta = torch.load(stripped, weights_only=True)['meta']
    assert meta['epoch'] == epoch + 1
    assert set(meta) == {'dataset_meta', 'epoch', 'iter', 'mmengine_version'}


def test_amp_without_a_gpu(python):
    (line,) = python(ROOT / 'tools/train.py', CONFIG, '--amp', code=1).splitlines()[-1:]
    assert line.startswith('train.py: --amp trains in float16, which needs a GPU; ')
    assert line.endswith(' --cfg-options optim_wrapper.type=BFloat16OptimWrapper instead')


def test_a_wrong_label_stops_before_training(python, imagenet, small, tmp_path):
    (tmp_path / 'meta').mkdir()
    (tmp_path / 'train').symlink_to(imagenet / 'train')
    (tmp_path / 'val').symlink_to(imagenet / 'val')
    for split in ('train', 'val'):
        lines = (imagenet / 'meta' / f'{split}.txt').read_text()
        (tmp_path / 'meta' / f'{split}.txt').write_text(lines)
    with (tmp_path / 'meta' / 'train.txt').open('a') as file:
        file.write('class2/2.jpg 1000\n')
    output = python(
        *(ROOT / 'tools/train.py', CONFIG, '--work-dir', tmp_path / 'work'),
        *small(tmp_path),
        code=1,
    )
    assert 'class2/2.jpg has the label 1000, outside the 1000 classes' in output
    assert 'Epoch(train)' not in output


DIGITS = ROOT / 'configs/dhm/resnet20_dhm_1xb64_digits.py'


def last_line(output):
    assert 'Traceback' not in output
    return output.strip().splitlines()[-1]


def test_a_training_that_diverges_ends_with_one_line(inline, tmp_path):
    options = (
        'optim_wrapper.optimizer.lr=1e30',
        'train_dataloader.batch_size=240',
        'train_dataloader.dataset.dataset.indices=717',
        'default_hooks.logger.interval=3',
    )
    work = ('--work-dir', tmp_path, '--cfg-options')
    output = inline(ROOT / 'tools/train.py', DIGITS, *work, *options, code=1)
    assert 'in iteration 2 (epoch 1) loss_ce_side0 of branch side0 is ' in last_line(
        output
    )
    assert not list(tmp_path.glob('*.pth'))
    (log,) = tmp_path.glob('*/*.log')
    assert 'in iteration 2 (epoch 1) loss_ce_side0' in log.read_text()


def test_a_folder_in_use_is_said_in_one_line(inline, tmp_path):
    with process_in(tmp_path):
        output = inline(
            *(ROOT / 'tools/train.py', DIGITS, '--work-dir', tmp_path), code=1
        )
    assert f'{tmp_path}: in use by process ' in last_line(output)


@pytest.mark.parametrize('workers', [0, 1])
def test_an_unreadable_test_image_ends_with_one_line(workers, inline, build, tmp_path):
    (tmp_path / 'list.txt').write_text('missing.png 3\n')
    torch.save(build(DIGITS).state_dict(), tmp_path / 'some.pth')
    config = tmp_path / 'config.py'
    config.write_text(
        f"""
_base_ = '{DIGITS}'
test_dataloader = dict(
    num_workers={workers},
    persistent_workers=False,
    dataset=dict(
        _delete_=True,
        type='CustomDataset',
        data_root='{tmp_path}',
        ann_file='list.txt',
        test_mode=True,
        pipeline=[dict(type='LoadImageFromFile'), dict(type='PackInputs')],
    ),
)
work_dir = '{tmp_path}/work'
"""
    )
    output = inline(ROOT / 'tools/test.py', config, tmp_path / 'some.pth', code=1)
    assert f'the image {tmp_path}/missing.png cannot be read: Fi' in last_line(output)


def test_a_damaged_checkpoint_ends_with_one_line(inline, build, tmp_path):
    checkpoint = tmp_path / 'some.pth'
    torch.save(build(DIGITS).state_dict(), checkpoint)
    content = bytearray(checkpoint.read_bytes())
    content[len(content) // 2] ^= 1
    checkpoint.write_bytes(content)
    work = ('--work-dir', tmp_path / 'work')
    output = inline(ROOT / 'tools/test.py', DIGITS, checkpoint, *work, code=1)
    assert f'{checkpoint}: ' in last_line(output)


def test_a_missing_checkpoint_ends_with_one_line(inline, tmp_path):
    work = ('--work-dir', tmp_path / 'work')
    missing = tmp_path / 'epoch_99.pth'
    output = inline(ROOT / 'tools/test.py', DIGITS, missing, *work, code=1)
    assert f'{missing} can not be found' in last_line(output)


def test_a_checkpoint_of_another_network_ends_with_one_line(inline, build, tmp_path):
    other = ROOT / 'configs/plain/resnet32_1xb128_cifar10.py'
    torch.save(build(other).state_dict(), tmp_path / 'other.pth')
    work = ('--work-dir', tmp_path / 'work')
    output = inline(ROOT / 'tools/test.py', DIGITS, tmp_path / 'other.pth', *work, code=1)
    assert 'The checkpoint is of another network than the config' in last_line(output)


def test_missing_images_end_with_one_line(inline, tmp_path):
    options = ('--work-dir', tmp_path, '--cfg-options', f'data_root={tmp_path}')
    root = f'train_dataloader.dataset.data_root={tmp_path}/imagenet'
    output = inline(ROOT / 'tools/train.py', CONFIG, *options, root, code=1)
    assert f'{tmp_path}/imagenet' in last_line(output)
