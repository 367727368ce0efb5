"""Every command on a config in MMEngine's pure Python style, with imported classes."""

import csv

import pytest
import torch
from mmengine.config import Config
from mmpretrain.registry import DATASETS, MODELS

import dhm_plugin
import zoo
from benchmarks import loader, step, train
from benchmarks.methods import configs_of
from dhm_plugin.checkpoints.export.config import load_config
from dhm_plugin.checkpoints.export.image_shape import image_shape
from paths import ROOT

CONFIGS = ROOT / 'tests/data/pure_python'
DHM = CONFIGS / 'dhm/resnet20_dhm_1xb480_digits.py'


@pytest.fixture
def loaded():
    assert Config.fromfile(DHM).model.type is dhm_plugin.DHMClassifier
    return load_config(DHM)


def test_trains_with_the_stock_tool(python, tmp_path):
    output = python(ROOT / 'tools/train.py', DHM, '--work-dir', tmp_path)
    assert 'loss_mimic_side1: ' in output
    assert 'Epoch(val) [1][1/1]    accuracy/top1: ' in output


def test_a_study_and_an_export_of_it(python, inline, tmp_path):
    compare = ROOT / 'tools/analysis_tools/compare_methods.py'
    python(compare, DHM, '--out', tmp_path, '--seeds', 1, '--consistency', 2)
    with (tmp_path / 'results.csv').open() as file:
        (row,) = csv.DictReader(file)
    assert row['config'] == DHM.stem
    assert float(row['side1']) > 0
    assert -1 < float(row['cosine_stage0_side0_main']) < 1
    written = (tmp_path / f'configs/{DHM.stem}_seed0.py').read_text()
    assert "'type': 'dhm_plugin.DHMClassifier'" in written
    # Nothing is left to do.
    options = ('--seeds', 1, '--consistency', 2)
    assert '[1/1]' not in inline(compare, DHM, '--out', tmp_path, *options)
    checkpoint = tmp_path / f'runs/{DHM.stem}/seed0/epoch_1.pth'
    out = tmp_path / 'out.pth'
    export = ROOT / 'tools/model_converters/export.py'
    output = inline(export, DHM, checkpoint, out, '--to', 'mmpretrain')
    assert f'{out}: the same logits on 4 images, to 0,' in output
    weights = torch.load(out, weights_only=True)['state_dict']
    plain = MODELS.build(load_config(CONFIGS / 'plain/resnet20_1xb480_digits.py').model)
    plain.load_state_dict(weights)


def test_the_zoo_describes_it(loaded):
    model = zoo.describe(DHM, CONFIGS)
    assert model['Metadata']['Training Data'] == "scikit-learn's digits"
    assert model['Metadata']['Parameters'] == 269434
    assert image_shape(loaded) == (1, 8, 8)


def test_the_benchmarks_take_it(loaded, monkeypatch, tmp_path):
    assert list(configs_of(DHM)) == ['plain', 'dsl', 'dhm']
    run = step.Step(loaded, 4, step.FUSED, [])
    run()
    assert isinstance(run.wrapper.optimizer, torch.optim.SGD)
    monkeypatch.setattr(loader, 'SMALL_IMAGES', 100)
    rows = loader.measure(DHM, repeats=1)
    assert [row['images of'] for row in rows] == ['MMPretrain, stock', 'ours']
    written = Config.fromfile(train._synthetic(loaded, tmp_path, 4, 3, 1, 'files'))
    dataset = DATASETS.build(written.train_dataloader.dataset)
    assert len(dataset) == 12
    assert written.custom_imports.imports == ['dhm_plugin', 'benchmarks.train']
