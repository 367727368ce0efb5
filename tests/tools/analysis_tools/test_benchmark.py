import json
import re
import statistics
from pathlib import Path

import pytest

from benchmarks import loader, step
from paths import ROOT

BENCHMARK = ROOT / 'tools/analysis_tools/benchmark.py'
DIGITS = ROOT / 'configs/dhm/resnet20_dhm_1xb64_digits.py'
# It begins when the measured training has ended, as after ImageNet's warm-up.
LATE = "[dict(type='CosineAnnealingLR', by_epoch=True, begin=50)]"


@pytest.mark.parametrize(
    ('what', 'reference', 'ours'),
    [
        ('loader', 'MMPretrain, stock', 'ours'),
        ('train', 'bare loop', 'tools/train.py'),
        ('infer', 'plain', 'DHM, stripped'),
        ('step', step.REFERENCE, step.TOGETHER),
    ],
)
def test_table_and_json(what, reference, ours, python, inline, monkeypatch, tmp_path):
    monkeypatch.setattr(loader, 'SMALL_IMAGES', 256)
    # Without what is compiled.
    two = {name: step.switches()[name] for name in (step.REFERENCE, step.TOGETHER)}
    monkeypatch.setattr(step, 'switches', lambda: two)
    out = tmp_path / 'out.json'
    config, options = DIGITS, []
    if what == 'train':
        config = tmp_path / 'long.py'
        config.write_text(f"_base_ = '{DIGITS}'\nparam_scheduler = {LATE}")
        options = ['--steps', '4']
    # tools/train.py is run in a process of its own.
    command = python if what == 'train' else inline
    text = command(BENCHMARK, what, config, *options, '--json', out)
    assert re.search(rf'^\| {reference} ', text, re.M)
    assert re.search(rf'^\| {ours} ', text, re.M)
    assert re.search(r'^`python .*benchmark.py .*` on .*PyTorch', text, re.M)
    facts = json.loads(out.read_text())
    assert facts['command'].startswith('python ')
    rows = facts['tables']['switches' if what == 'step' else what]
    others = ["of it, this package's hooks"] if what == 'train' else []
    assert [next(iter(row.values())) for row in rows] == [reference, ours, *others]
    for row in rows:
        lists = [value for value in row.values() if isinstance(value, list)]
        assert lists
        assert all(number > 0 for numbers in lists for number in numbers)
    if what == 'step':
        methods = ['plain', 'dsl', 'dhm', step.FORKED]
        assert [row['method'] for row in facts['tables']['methods']] == methods * 2
    if what == 'train':
        # Four steps of 64 images.
        median = statistics.median(rows[0]['time'])
        assert rows[0]['images/s'] == pytest.approx(4 * 64 / median)


def test_names_what_is_wrong(inline):
    text = inline(BENCHMARK, 'infer', ROOT / 'configs/plain/README.md', code=1)
    assert 'benchmark.py: ' in text
    assert 'compared are a DHM config' in text
    missing = Path('nowhere/out.json')
    text = inline(BENCHMARK, 'infer', DIGITS, '--json', missing, code=2)
    assert '--json nowhere/out.json: there is no folder nowhere' in text
    for option in ('--batch-size', '--steps'):
        text = inline(BENCHMARK, 'train', DIGITS, option, '0', code=2)
        assert f'argument {option}: ' in text


def test_names_the_training_that_fails(inline, tmp_path):
    config = tmp_path / 'broken.py'
    config.write_text(f"_base_ = '{DIGITS}'\noptim_wrapper = dict(type='None')")
    text = inline(BENCHMARK, 'train', config, '--steps', '4', code=1)
    assert text.splitlines()[-1].startswith('benchmark.py: Command ')
    assert 'Traceback' not in text
