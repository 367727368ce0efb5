from mmengine import Config
from mmpretrain.registry import MODELS

from dhm_plugin import DHMClassifier
from dhm_plugin.checkpoints.export.config import load_config, type_name
from paths import ROOT

PURE = ROOT / 'tests/data/pure_python/dhm/resnet20_dhm_1xb480_digits.py'
TEXT = ROOT / 'configs/dhm/resnet20_dhm_1xb64_digits.py'


def test_classes_become_names_that_build():
    cfg = load_config(PURE)
    assert cfg.model.type == 'dhm_plugin.DHMClassifier'
    assert cfg.optim_wrapper.optimizer.type == 'torch.optim.SGD'
    assert type_name(cfg.train_dataloader.dataset.dataset.type) == 'Digits'
    assert 'DHMClassifier' not in cfg  # nor are the imports settings
    assert type(MODELS.build(cfg.model)) is DHMClassifier


def test_the_usual_style_stays_as_it_is():
    cfg = load_config(TEXT)
    assert cfg.to_dict() == Config.fromfile(TEXT).to_dict()
    assert cfg.filename == str(TEXT)
    assert cfg.model.backbone.out_indices == (2,)
