"""MMPretrain's re-parameterisation of a network whose side branches are dropped."""

import copy
from pathlib import Path

import mmpretrain
import pytest
import torch
from mmpretrain.apis import init_model
from torch.nn.modules.batchnorm import _BatchNorm

from models.side_branches.families import build, config_of, plain_config_of
from paths import ROOT

TOOL = Path(mmpretrain.__file__).parent / '.mim/tools'
TOOL /= 'model_converters/reparameterize_model.py'
STRIP = ROOT / 'tools/model_converters/strip_side_branches.py'
FAMILIES = ('RepVGG', 'MobileOne')


@pytest.fixture(params=FAMILIES)
def trained(request, tmp_path):
    """A network with the statistics of images."""
    model = build(config_of(request.param, tmp_path))
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.momentum = None  # the mean of all batches
    with torch.no_grad():
        model(torch.randn(64, 3, 64, 64))
    return model.eval(), plain_config_of(request.param, tmp_path)


def test_of_the_dropped_network(trained):
    """It is the backbone's own method that the tool calls."""
    model, _ = trained
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        for dtype, bound in ((torch.float64, 1e-10), (torch.float32, 1e-4)):
            dropped = copy.deepcopy(model)
            dropped.switch_to_deploy()
            dropped.to(dtype)
            expected = dropped(images.to(dtype))
            dropped.backbone.switch_to_deploy()
            given = dropped(images.to(dtype))
            assert not any(isinstance(m, _BatchNorm) for m in dropped.backbone.modules())
            assert (given - expected).abs().max() < bound
            assert expected.std() > 1e-3


def test_the_tool_on_a_stripped_checkpoint(trained, inline, tmp_path):
    """With the stock config."""
    model, plain = trained
    paths = [tmp_path / f'{name}.pth' for name in ('trained', 'stripped', 'deploy')]
    torch.save(dict(meta={}, state_dict=model.state_dict()), paths[0])
    plain.dump(tmp_path / 'plain.py')
    inline(STRIP, *paths[:2])
    inline(TOOL, tmp_path / 'plain.py', *paths[1:])
    plain.model.backbone.deploy = True
    plain.dump(tmp_path / 'deploy.py')
    deployed = init_model(str(tmp_path / 'deploy.py'), str(paths[2]), device='cpu')
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert (deployed(images) - model(images)).abs().max() < 1e-4
