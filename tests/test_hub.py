"""MMPretrain's own API finds the models of the zoo."""

import json
import subprocess
import sys

import mmpretrain
import numpy as np
import pytest
import torch
from mmengine import Config
from mmengine.runner import load_checkpoint
from mmpretrain.apis.model import ModelHub
from PIL import Image
from safetensors.torch import save_file

import dhm_plugin
from dhm_plugin import hub
from paths import ROOT

STEMS = {
    method: {path.stem for path in (ROOT / 'configs' / method).glob('*.py')}
    for method in ('plain', 'dsl', 'dhm')
}
# MMPretrain has these names, with weights of its own.
STOCK = {f'resnet{depth}_8xb32_in1k' for depth in (18, 34, 50, 101, 152)}


@pytest.mark.parametrize('method', ['dsl', 'dhm'])
def test_list_models(method):
    assert set(mmpretrain.list_models(f'*_{method}_')) == STEMS[method]


def test_plain_networks_and_mmpretrains_own():
    models = set(mmpretrain.list_models())
    assert models > STEMS['plain']
    assert len(models) > 500
    for name in STEMS['plain']:
        ours = str(ROOT / 'configs') in ModelHub.get(name).config.filename
        assert ours == (name not in STOCK)


def test_models_with_results_by_task():
    found = mmpretrain.list_models('*_dhm_', task='Image Classification')
    in1k = [f'resnet{depth}_dhm_8xb32_in1k' for depth in (101, 152, 18, 50)]
    assert found == [*in1k, 'resnet8_dhm_1xb64_digits']


def test_get_model():
    model = mmpretrain.get_model('resnet18_dhm_8xb32_in1k')
    assert isinstance(model, dhm_plugin.DHMClassifier)
    config = ROOT / 'configs/dhm/resnet18_dhm_8xb32_in1k.py'
    assert Config.fromfile(config).model.neck == model._config.model.neck
    assert model._metainfo.metadata.parameters == 11689512
    assert model(torch.zeros(1, 3, 32, 32)).shape == (1, 1000)


def test_inferencer(tmp_path, build):
    model = build('dhm/resnet18_dhm_8xb32_in1k.py').eval()
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'model.pth')
    pixels = np.random.default_rng(0).integers(0, 256, (40, 48, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / 'image.jpg')
    inferencer = mmpretrain.ImageClassificationInferencer(
        'resnet18_dhm_8xb32_in1k', pretrained=str(tmp_path / 'model.pth'), device='cpu'
    )
    (result,) = inferencer(str(tmp_path / 'image.jpg'))
    (data,) = inferencer.preprocess([str(tmp_path / 'image.jpg')])
    data = inferencer.model.data_preprocessor(
        data[1] if isinstance(data, tuple) else data
    )
    with torch.no_grad():
        scores = model.branch_logits(data['inputs'])[-1].softmax(-1)[0]
    np.testing.assert_allclose(result['pred_scores'], scores, rtol=1e-4)
    assert result['pred_class'] == inferencer.classes[int(scores.argmax())]


def test_config_and_weights_lie_beside_the_index(monkeypatch, tmp_path):
    entry = dict(Name='a', Config='configs/a.py', Weights='weights/a.pth')
    (tmp_path / 'model-index.yml').write_text(json.dumps(dict(Models=[entry])))
    monkeypatch.setattr(hub, 'find_root', lambda: tmp_path)
    (model,) = hub.zoo_models()
    assert model.config == str(tmp_path / 'configs/a.py')
    assert model.weights == str(tmp_path / 'weights/a.pth')


@pytest.mark.parametrize(
    'name',
    ['resnet18_dhm_8xb32_in1k', 'resnet32_1xb128_cifar10', 'resnet18_dsl_8xb32_in1k'],
)
def test_says_that_there_are_no_weights(name):
    message = f'{name} comes without pretrained weights: give pretrained=PATH'
    with pytest.raises(ValueError, match=message):
        mmpretrain.get_model(name, pretrained=True)
    with pytest.raises(ValueError, match=message):
        mmpretrain.ImageClassificationInferencer(name)


def test_loads_given_weights(tmp_path, build):
    weights = build('dhm/resnet18_dhm_8xb32_in1k.py').state_dict()
    torch.save(dict(state_dict=weights), tmp_path / 'model.pth')
    model = mmpretrain.get_model(
        'resnet18_dhm_8xb32_in1k', pretrained=str(tmp_path / 'model.pth')
    )
    assert all(value.equal(weights[key]) for key, value in model.state_dict().items())


def test_loads_safetensors_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    weights = dict(weight=torch.ones(1, 2), bias=torch.zeros(1))
    save_file(weights, tmp_path / 'model.safetensors')
    layer = torch.nn.Linear(2, 1)
    load_checkpoint(layer, '~/model.safetensors', strict=True)
    assert layer.weight.equal(weights['weight'])


def test_mmpretrains_own_models_are_left_alone():
    assert ModelHub.get('resnet18_8xb32_in1k').weights.startswith('https://')
    with pytest.warns(UserWarning, match='Unable to find pre-defined checkpoint'):
        mmpretrain.get_model('hivit-tiny-p16_16xb64_in1k', pretrained=True)


def test_without_a_model_index_there_are_mmpretrains_alone(tool_env, tmp_path):
    """In a process of its own: what is registered stays."""
    code = (
        'import mmpretrain, dhm_plugin.hub as hub; from pathlib import Path\n'
        'from mmpretrain.apis.model import ModelHub\n'
        'assert not ModelHub._models_dict, "read at import"\n'
        f'hub.find_root = lambda: Path({str(tmp_path)!r})\n'
        'models = mmpretrain.list_models()\n'
        'print(len([m for m in models if "_dhm_" in m]), len(models) > 500)'
    )
    output = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', code],
        env=tool_env,
        check=True,
        text=True,
        stdout=subprocess.PIPE,
    ).stdout
    assert output.endswith('0 True\n')
