import re

import torch
from mmengine import Config
from mmpretrain.registry import MODELS

from families import FAMILIES, TEXT
from paths import ROOT

COMMAND = ROOT / 'tools/analysis_tools/print_side_branches.py'


def test_what_it_prints_builds_the_same_model(inline, tmp_path):
    config = tmp_path / 'cfg.py'
    config.write_text(TEXT.format(base=FAMILIES['RegNet']))
    output = inline(COMMAND, config)
    text = re.search(r'^model ?= ?dict\(.*?(?=^\| branch)', output, re.M | re.S).group()
    pasted = tmp_path / 'pasted.py'
    pasted.write_text(f"_base_ = './cfg.py'\n{text}\n")
    models = []
    for path in (config, pasted):
        torch.manual_seed(0)
        models.append(MODELS.build(Config.fromfile(path).model))
        models[-1].init_weights()
    branches = Config.fromfile(pasted).model.side_branches
    assert [branch.fork for branch in branches] == ['layer2', 'layer3']
    assert 'fork_prob' not in text
    weights = [model.state_dict() for model in models]
    assert weights[0].keys() == weights[1].keys()
    for key, value in weights[0].items():
        assert torch.equal(value, weights[1][key]), key

    # Half of the branches: half of the blocks, and the probability is kept.
    half = tmp_path / 'half.py'
    text = text.replace("fork='layer2',", "fork='layer2', fork_prob=0.5,")
    half.write_text(f"_base_ = './cfg.py'\n{text}\n")
    of_half = inline(COMMAND, half)
    assert of_half.count('fork_prob=0.5') == 1
    added = [
        [float(row) for row in re.findall(r'\| side\d \| .* M \| (.*) \|', printed)]
        for printed in (output, of_half)
    ]
    assert len(added[0]) == 2
    assert abs(added[0][0] - 2 * added[1][0]) < 0.02
    assert added[0][1] == added[1][1]


def test_names_what_has_none(inline):
    config = ROOT / 'configs/dhm/resnet20_dhm_1xb64_digits.py'
    output = inline(COMMAND, config, code=1)
    assert f'print_side_branches.py: {config}: nothing is derived of it' in output
