"""The results that the metafile and the README of DHM report."""

import re

import modelindex
import pytest
import yaml
from paths import ROOT

FOLDER = ROOT / 'configs' / 'dhm'
ERRORS = {
    'resnet18_dsl': (29.728, 10.450),
    'resnet50_dsl': (23.874, 7.074),
    'resnet101_dsl': (22.260, 6.128),
    'resnet152_dsl': (21.602, 5.824),
    'resnet18_dhm': (28.714, 9.940),
    'resnet50_dhm': (23.430, 6.764),
    'resnet101_dhm': (21.348, 5.684),
    'resnet152_dhm': (20.810, 5.396),
}


@pytest.fixture(scope='module')
def models():
    return yaml.safe_load((FOLDER / 'metafile.yml').read_text())['Models']


def test_results_are_the_papers(models):
    found = {}
    for model in models:
        (result,) = model['Results']
        metrics = result['Metrics']
        name = re.sub('_8xb32_in1k$', '', model['Name'])
        found[name] = metrics['Top 1 Error'], metrics['Top 5 Error']
        assert 'authors' in result['Reported By']
        assert 'Weights' not in model
    assert found == ERRORS


def test_every_model_has_its_config(models):
    for model in models:
        path = ROOT / model['Config']
        assert path.is_file()
        assert path.stem == model['Name']


def test_modelindex_reads_it():
    index = modelindex.load(str(FOLDER / 'metafile.yml'))
    assert len(index.models) == len(ERRORS)
    assert {model.in_collection for model in index.models} == {'DHM'}
    assert [collection.name for collection in index.collections] == ['DHM']


def test_the_readme_has_the_same_table():
    text = (FOLDER / 'README.md').read_text()
    for method in ('dsl', 'dhm'):
        cells = [
            '{:.3f} / {:.3f}'.format(*ERRORS[f'resnet{depth}_{method}'])
            for depth in (18, 50, 101, 152)
        ]
        assert f'| {" | ".join([method.upper(), *cells])} |' in text
