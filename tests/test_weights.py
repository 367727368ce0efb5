"""The weights that come with the package: those of the metafiles, and used everywhere."""

import mmpretrain
import pytest
import torch
from mmengine.dataset import default_collate
from mmpretrain.apis.model import ModelHub
from mmpretrain.registry import DATASETS

from dhm_plugin.checkpoints.export import export
from dhm_plugin.hub import NO_WEIGHTS, zoo_models
from paths import ROOT

PACKAGED = {m.name: m for m in zoo_models() if not m.weights.startswith(NO_WEIGHTS)}
DHM = ROOT / 'configs/dhm/resnet8_dhm_1xb64_digits'


@pytest.fixture(scope='module')
def images():
    """The test images of the digits."""
    dataset = DATASETS.build(ModelHub.get(DHM.name).config.test_dataloader.dataset)
    return default_collate(list(dataset))


def test_each_method_has_weights():
    assert sorted(PACKAGED) == [
        'resnet8_1xb64_digits',
        'resnet8_dhm_1xb64_digits',
        'resnet8_dsl_1xb64_digits',
    ]
    files = {str(path) for path in ROOT.glob('configs/**/*.safetensors')}
    assert {model.weights for model in PACKAGED.values()} == files


@pytest.mark.parametrize('name', PACKAGED)
@torch.no_grad()
def test_they_have_the_accuracy_of_the_metafile(name, images):
    model = mmpretrain.get_model(name, pretrained=True)
    data = model.data_preprocessor(images)
    labels = torch.cat([sample.gt_label for sample in data['data_samples']])
    (result,) = PACKAGED[name].results
    stated = result.metrics['Top 1 Accuracy']
    found = (model(data['inputs']).argmax(1) == labels).double().mean() * 100
    assert found.item() == pytest.approx(stated, abs=0.01)
    if name != 'resnet8_1xb64_digits':
        # The side branches are trained ones too.
        for logits in model.branch_logits(data['inputs']):
            assert (logits.argmax(1) == labels).double().mean() > 0.95


def test_the_inferencer_takes_them(images):
    inferencer = mmpretrain.ImageClassificationInferencer(DHM.name, device='cpu')
    pixels = [image[0].numpy() for image in images['inputs'][:20]]
    classes = [result['pred_class'] for result in inferencer(pixels)]
    labels = [str(int(sample.gt_label)) for sample in images['data_samples'][:20]]
    assert sum(a == b for a, b in zip(classes, labels)) >= 18


@pytest.mark.parametrize(
    'to', ['mmpretrain', pytest.param('onnx', marks=pytest.mark.one_stack)]
)
def test_they_are_exported(to, tmp_path):
    out = tmp_path / ('out.onnx' if to == 'onnx' else 'out.safetensors')
    export(f'{DHM}.py', f'{DHM}.safetensors', out, to)
    if to == 'mmpretrain':
        plain = mmpretrain.get_model('resnet8_1xb64_digits', pretrained=str(out))
        ours = mmpretrain.get_model(DHM.name, pretrained=True)
        pixels = torch.rand(4, 1, 8, 8)
        assert torch.equal(plain(pixels), ours(pixels))
