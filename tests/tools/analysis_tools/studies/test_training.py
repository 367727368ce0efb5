import json
import math
import os

import pytest
import torch
from mmengine.config import Config
from mmpretrain.registry import MODELS

from dhm_plugin.checkpoints import read_state_dict
from paths import ROOT
from studies.settings import settings_of
from studies.training import Training, initial_weights

PLAIN = ROOT / 'configs/plain/resnet20_1xb64_digits.py'
MAP = ROOT / 'configs/studies/map/resnet8_1xb64_fmnist.py'
DHM = ROOT / 'configs/dhm/resnet20_dhm_1xb64_digits.py'


def test_goes_on_from_what_is_whole(tmp_path):
    training = Training(DHM, 0, tmp_path)
    start = tmp_path / 'start.pth'
    assert training.command(start)[3] == start
    training.work_dir.mkdir(parents=True)
    for epoch in (24, 25):
        torch.save({}, training.work_dir / f'epoch_{epoch}.pth')
    (training.work_dir / 'last_checkpoint').write_text('/moved/epoch_25.pth')
    (training.work_dir / 'epoch_25.pth').write_bytes(b'')
    assert training.command(start)[3] is None
    # Nothing is left to go on from: it begins anew, in an empty folder.
    (training.work_dir / 'epoch_24.pth').write_bytes(b'')
    assert training.command(start)[3] == start
    assert not training.work_dir.exists()


def test_the_schedule_is_stretched():
    settings = Training(MAP, 0, ROOT, iterations=1500).settings()
    warmup, cosine = settings.param_scheduler
    assert (warmup.end, cosine.begin, cosine.end) == (75, 75, 1500)
    assert settings.train_cfg == dict(by_epoch=False, max_iters=1500, val_interval=1500)
    steps = dict(type='MultiStepLR', by_epoch=False, milestones=(3000, 4500), gamma=0.1)
    options = {'param_scheduler': [steps]}
    settings = Training(MAP, 0, ROOT, options, iterations=1500).settings()
    assert settings.param_scheduler[0].milestones == [750, 1125]
    options = {'param_scheduler': [dict(type='StepLR', by_epoch=False, step_size=1000)]}
    with pytest.raises(ValueError, match='param_scheduler has a StepLR; which of its'):
        Training(MAP, 0, ROOT, options, iterations=1500).settings()
    message = f'{PLAIN}: counts epochs; a study that says the iterations needs'
    with pytest.raises(ValueError, match=message):
        Training(PLAIN, 0, ROOT, iterations=1500).settings()


def test_refuses_what_would_never_be_measured():
    training = Training(MAP, 0, ROOT, consistency=1501, iterations=1500)
    with pytest.raises(ValueError, match='for 1500 iterations; measured every 1501, the'):
        training.settings()


def test_a_config_of_epochs_needs_no_logger():
    training = Training(PLAIN, 0, ROOT, {'default_hooks.logger': None})
    assert training.settings().default_hooks.logger is None


def test_names_a_model_that_there_is_not():
    """Seen: issubclass() arg 1 must be a class."""
    training = Training(DHM, 0, ROOT, {'model.type': 'DHMClasifier'})
    with pytest.raises(ValueError, match=f"{DHM}: model has type='DHMClasifier', which"):
        training.settings()


def test_the_whole_config_is_written(tmp_path):
    options = {'train_cfg.max_epochs': 7, 'param_scheduler.1.end': 7}
    options['optim_wrapper.clip_grad'] = dict(max_norm=1.0, norm_type=math.inf)
    path = Training(DHM, 3, tmp_path, options, consistency=5).prepare()
    cfg = Config.fromfile(path)
    assert cfg.randomness.seed == 3
    assert (cfg.train_cfg.max_epochs, cfg.param_scheduler[1].end) == (7, 7)
    assert cfg.model.neck.eval_branches
    assert [metric.type for metric in cfg.val_evaluator] == [
        'Accuracy',
        'BranchAccuracy',
        'Calibration',
    ]
    assert cfg.default_hooks.consistency.interval == 5
    assert cfg.default_hooks.logger.interval == 5
    reference = Config.fromfile(DHM)
    assert cfg.optim_wrapper.pop('clip_grad').norm_type == math.inf
    assert cfg.optim_wrapper == reference.optim_wrapper
    assert cfg.train_dataloader == reference.train_dataloader
    # The same settings go on, others are refused.
    assert Training(DHM, 3, tmp_path, options, consistency=5).prepare() == path
    with pytest.raises(ValueError, match='was begun with other settings') as error:
        Training(DHM, 3, tmp_path, options).prepare()
    assert 'default_hooks.logger.interval: it has 5, asked is 10\n' in str(error.value)
    plain = Training(PLAIN, 3, tmp_path, options, consistency=5).settings()
    assert 'consistency' not in plain.default_hooks
    assert plain.default_hooks.logger.interval == 5


def test_rows_are_of_the_same_settings(tmp_path):
    options = {'train_cfg.max_epochs': 7}
    training = Training(DHM, 3, tmp_path, options, consistency=5)
    settings = json.dumps(settings_of(training.settings()))
    row = {'config': DHM.stem, 'seed': '0', 'settings': settings}
    training.check([row, {'config': 'another', 'seed': '0'}])
    # What was measured beside the training is nothing that differs; unless it is asked.
    Training(DHM, 0, tmp_path, {**options, 'default_hooks.logger.interval': 9}).check(
        [row]
    )
    other = {'train_cfg.max_epochs': 1, 'optim_wrapper.optimizer.lr': 99.0}
    for changed, consistency, name, had, asked in (
        (other, 0, 'train_cfg.max_epochs', '7', '1'),
        (other, 5, 'optim_wrapper.optimizer.lr', '0.05', '99.0'),
        (options, 3, 'default_hooks.consistency.interval', '5', '3'),
    ):
        with pytest.raises(ValueError, match='was trained with other settings') as error:
            Training(DHM, 3, tmp_path, changed, consistency).check([row])
        assert f'  {name}: it has {had}, asked is {asked}\n' in str(error.value)
    with pytest.raises(ValueError, match='seed 0, does not say what it was trained with'):
        training.check([{**row, 'settings': ''}])
    del row['settings']
    with pytest.raises(ValueError, match='of the rows as they are, --no-train'):
        training.check([row])


def test_initial_weights_are_drawn_once(tmp_path):
    both = [Training(config, 0, tmp_path) for config in (PLAIN, DHM)]
    path = initial_weights(both)
    first, _ = read_state_dict(path)
    # Another order of the configs, and another draw, change nothing.
    assert initial_weights(both[::-1]) == path
    for key, value in read_state_dict(path)[0].items():
        assert torch.equal(value, first[key])
    deeper = Training(DHM, 0, tmp_path, {'model.backbone.depth': 32})
    with pytest.raises(ValueError, match=r'72 weights differ, .* backbone\.layer1'):
        initial_weights([both[0], deeper])


def test_a_plain_config_with_side_branches_starts_from_the_plain_weights(tmp_path):
    config = tmp_path / 'derived.py'
    config.write_text(f"_base_ = '{PLAIN}'\nmodel = dict(type='DHMClassifier')\n")
    trainings = [Training(path, 0, tmp_path) for path in (PLAIN, config)]
    settings = trainings[1].settings()
    assert settings.model.eval_branches
    assert 'BranchAccuracy' in [metric.type for metric in settings.val_evaluator]
    path = initial_weights(trainings)
    plain = MODELS.build(trainings[0].settings().model)
    plain.load_state_dict(read_state_dict(path)[0])
    assert trainings[1].step_flops() > trainings[0].step_flops()


def test_a_row_says_what_was_trained_whatever_became_of_the_config(tmp_path):
    config = tmp_path / 'edited.py'
    text = f"_base_ = '{MAP}'\noptim_wrapper = dict(optimizer=dict(lr=0.1))\n"
    config.write_text(text)
    training = Training(config, 0, tmp_path / 'out', iterations=10)
    training.prepare()
    log = training.work_dir / 'date/vis_data/scalars.json'
    log.parent.mkdir(parents=True)
    rows = [dict(loss=1.0, time_mean=0.5, step=10), {'accuracy/top1': 50.0, 'step': 10}]
    log.write_text('\n'.join(map(json.dumps, rows)))
    unchanged = training.result()
    # The time of its last change tells that it has changed.
    config.write_text(text.replace('lr=0.1', 'lr=77.0'))
    os.utime(config, ns=(0, 0))
    row = training.result()
    assert row == unchanged
    assert json.loads(row['settings'])['optim_wrapper']['optimizer']['lr'] == 0.1
    assert (row['main'], row['seconds'], row['iterations']) == (50.0, 5.0, 10)
    asked = training.settings().optim_wrapper.optimizer.lr
    assert asked == 77.0
    with pytest.raises(ValueError, match=r'optimizer\.lr: it has 0\.1, asked is 77\.0'):
        training.check([{**row, 'seed': '0'}])
