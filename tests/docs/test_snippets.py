"""Every Python block of the pages works; a config's is built."""

import re
import textwrap

import numpy as np
import pytest
import torch
from mmengine import Config
from mmengine.evaluator import Evaluator
from mmpretrain.registry import HOOKS, MODELS
from mmpretrain.structures import DataSample
from PIL import Image

from families import TEXT
from pages import PAGES, blocks
from paths import ROOT

SNIPPETS = [
    pytest.param(block, id=f'{page.relative_to(ROOT)}-{i}')
    for page in PAGES
    for i, block in enumerate(blocks(page, 'python'))
]
CONFIGS = [p for p in SNIPPETS if 'import ' not in p.values[0]]
SCRIPTS = [p for p in SNIPPETS if 'import ' in p.values[0]]
DIGITS = ROOT / 'configs/dhm/resnet20_dhm_1xb64_digits.py'
PLAIN = ROOT / 'configs/plain/resnet18_8xb32_in1k.py'


# An option of DHMClassifier's, which it takes over a plain config alone.
OF_THE_LINES = r'^model = dict\((?:eval_branches|mimicking_loss|side_branches)='


def read(block, folder):
    """Read a block as a config; one without a base changes the README's lines or ours."""
    (folder / 'my_resnet18.py').write_text(f"_base_ = '{PLAIN}'")
    lines = TEXT.format(base='resnet/resnet18_8xb32_in1k.py')
    (folder / 'lines.py').write_text(lines)
    (folder / 'my_backbone.py').touch()
    if '_base_' not in block:
        of_the_lines = re.search(OF_THE_LINES, block, re.M)
        base = folder / 'lines.py' if of_the_lines else DIGITS
        block = f"_base_ = '{base}'\n{block}"
    # As if it lay in a folder beside configs/dhm, or beside the README.
    block = block.replace("'../", "'configs/").replace("'configs/", f"'{ROOT}/configs/")
    (folder / 'example.py').write_text(block)
    return Config.fromfile(folder / 'example.py')


def build(cfg):
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.init_weights()
    return model


@pytest.mark.parametrize('block', CONFIGS)
def test_a_config_is_built(block, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    cfg = read(block, tmp_path)
    assert build(cfg)
    for name in ('val', 'test'):
        metrics = cfg[f'{name}_evaluator']
        Evaluator(metrics if isinstance(metrics, list) else [metrics])
    # What tools/test.py measures is what the validation has measured.
    assert cfg.val_evaluator == cfg.test_evaluator
    for hook in [*cfg.default_hooks.values(), *cfg.get('custom_hooks', [])]:
        if hook.type in block:
            HOOKS.build(hook)


@pytest.mark.parametrize('block', SCRIPTS)
def test_a_script_runs(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg = Config.fromfile(ROOT / 'configs/dhm/resnet18_dhm_8xb32_in1k.py')
    torch.save(dict(state_dict=build(cfg).state_dict()), 'resnet18_dhm.pth')
    pixels = np.random.default_rng(0).integers(0, 256, (40, 48, 3), dtype=np.uint8)
    Image.fromarray(pixels).save('image.jpg')
    names = {}
    exec(compile(textwrap.dedent(block), 'block', 'exec'), names)
    assert type(names['model']).__name__ == 'DHMClassifier'


def test_the_readme_has_the_lines_that_are_tested_over_all_families():
    (block,) = blocks(ROOT / 'README.md', 'python')
    assert block == TEXT.format(base='resnet/resnet50_8xb32_in1k.py').lstrip()


def test_described_is_our_resnet18(tmp_path):
    """The same weights for the same seed, and the same losses of the same images."""
    (block,) = (p.values[0] for p in CONFIGS if 'num_blocks=(1, 2)' in p.values[0])
    shown = read(block, tmp_path)
    ours = Config.fromfile(ROOT / 'configs/dhm/resnet18_dhm_8xb32_in1k.py')
    assert shown.custom_imports == ours.custom_imports
    models = build(shown), build(ours)
    assert str(models[0]) == str(models[1])
    weights = [model.state_dict() for model in models]
    assert weights[0].keys() == weights[1].keys()
    for key, value in weights[0].items():
        assert torch.equal(value, weights[1][key]), key
    images = torch.rand(2, 3, 64, 64)
    samples = [DataSample().set_gt_label(i) for i in range(2)]
    losses = [model.train().loss(images, samples) for model in models]
    assert losses[0].keys() == losses[1].keys()
    for key, value in losses[0].items():
        assert torch.equal(value, losses[1][key]), key
