"""The example without configs learns, and drops its side branches exactly."""

import runpy

import torch

from paths import ROOT


def test_it_trains_and_drops_the_side_branches(capsys):
    names = runpy.run_path(str(ROOT / 'docs/plain_pytorch.py'))
    assert names['accuracy'] > 0.8
    assert set(names['losses']) == {
        f'loss_{kind}_{branch}'
        for kind in ('ce', 'mimic')
        for branch in ('side0', 'side1', 'main')
    }
    assert torch.equal(names['before'], names['after'])
    backbone, head = names['backbone'], names['head']
    plain = sum(
        p.numel() for m in (backbone, head.fc) for p in m.parameters() if p.requires_grad
    )
    assert names['plain_size'] == plain < names['size']
    assert 'largest difference of the logits: 0\n' in capsys.readouterr().out
