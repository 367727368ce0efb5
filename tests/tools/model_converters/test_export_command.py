"""The command line, on a checkpoint that a training with EMA has written."""

import torch

from paths import ROOT

EXPORT = ROOT / 'tools/model_converters/export.py'


def test_ema_weights_are_taken(python, build, tmp_path):
    config = tmp_path / 'ema.py'
    config.write_text(
        f"_base_ = '{ROOT}/configs/dhm/resnet20_dhm_1xb64_digits.py'\n"
        "custom_hooks = [dict(type='EMAHook', momentum=0.1)]\n"
        'train_cfg = dict(max_epochs=1)\n'
    )
    python(ROOT / 'tools/train.py', config, '--work-dir', tmp_path)
    checkpoint, out = tmp_path / 'epoch_1.pth', tmp_path / 'out.pth'
    output = python(EXPORT, config, checkpoint, out, '--to', 'mmpretrain')
    assert f'{out}: the same logits on 4 images, to 0,' in output
    assert 'loading the checkpoint ...\nwriting for mmpretrain ...\ncomp' in output
    content = torch.load(checkpoint, weights_only=True)
    exported = torch.load(out, weights_only=True)['state_dict']
    raw = content['ema_state_dict']
    for key in ('backbone.conv1.weight', 'head.fc.weight'):
        # MMEngine swaps them: the averaged weights are those under state_dict.
        assert torch.equal(exported[key], content['state_dict'][key])
        assert not torch.equal(exported[key], raw[f'module.{key}'])


def test_what_fails_is_one_line(inline, tmp_path):
    config = ROOT / 'configs/dhm/resnet20_dhm_1xb64_digits.py'
    paths = tmp_path / 'none.pth', tmp_path / 'out.pth'
    output = inline(EXPORT, config, *paths, '--to', 'mmpretrain', code=1)
    assert output.endswith(f'export.py: {paths[0]}: there is no such file\n')
    assert 'Traceback' not in output
