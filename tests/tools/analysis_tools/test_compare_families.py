import re
import sys
from collections import Counter

import pytest
import torch
from mmpretrain.models import HRNet

import compare_families
from benchmarks.methods import build
from families import FAMILIES, config_of
from paths import ROOT

COMMAND = ROOT / 'tools/analysis_tools/compare_families.py'


def test_a_row_of_a_family(monkeypatch, capsys):
    monkeypatch.setattr(compare_families, 'REPEATS', 3)
    monkeypatch.setattr(sys, 'argv', [str(COMMAND), 'ShuffleNetV2', '--step'])
    compare_families.main()
    output = capsys.readouterr().out
    header, row = (
        re.split(r' *\| *', line) for line in re.findall(r'^\|.*', output, re.M)[::2]
    )
    cells = dict(zip(header, row))
    assert cells['parameters'] == '2.28 M'
    assert cells['forks'] == 'layers.0, layers.1'
    flops, step = (float(cells[f'{n} / plain'].split()[0]) for n in ('FLOPs', 'step'))
    assert 1 < flops < 2.3
    plain, ours = (float(cells[key].split()[0]) for key in ('plain build', 'build'))
    assert 0 < plain < ours
    assert 1 < step < 3
    assert re.search(
        r'^`python .*compare_families.py ShuffleNetV2 --step` on', output, re.M
    )


def test_names_what_is_wrong(inline):
    output = inline(COMMAND, 'ResNot', code=2)
    assert 'there is no ResNot; choose of ResNet, ' in output


@pytest.mark.one_stack
def test_a_network_is_built_once_more_a_branch_and_run_a_few_times(monkeypatch):
    counts = Counter()

    def count(owner, name):
        function = getattr(owner, name)

        def counted(*args, **kwargs):
            counts[name] += 1
            return function(*args, **kwargs)

        monkeypatch.setattr(owner, name, counted)

    count(HRNet, '__init__')
    count(torch.func, 'functional_call')
    build(config_of('HRNet').model)
    # The network and its two branches; the calls, each branch without gradients and with
    # them, the neck and the head.
    assert counts == {'__init__': 3, 'functional_call': 7}


def test_what_the_page_says_of_building():
    page = (ROOT / 'docs/families.md').read_text()
    rows = re.findall(r'\| ([\d.]+) s \| ([\d.]+) s \|', page)
    assert len(rows) == len(FAMILIES)
    assert all(float(ours) < 2 * float(plain) + 0.5 for plain, ours in rows)
