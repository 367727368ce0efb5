import pytest
from mmengine import Config
from mmengine.runner import Runner

from paths import ROOT

CONFIGS = {
    'dhm': 'dhm/resnet20_dhm_1xb64_digits.py',
    'dsl': 'dsl/resnet20_dsl_1xb64_digits.py',
    'plain': 'plain/resnet20_1xb64_digits.py',
}


@pytest.fixture
def train(tmp_path):
    """Train an epoch of half the digits in this process: 240, 240 and 237 images.

    A network of the least blocks; in float32, in the default layout, without any other
    switch, unless asked for.
    """

    def run_training(name, method='dhm', channels_last=False, **options):
        cfg = Config.fromfile(ROOT / 'configs' / CONFIGS[method])
        cfg.model.backbone.depth = 8
        for branch, num_blocks in zip(cfg.model.neck.get('branches', ()), ((1, 1), 1)):
            branch.num_blocks = num_blocks
        cfg.merge_from_dict(
            {
                'work_dir': str(tmp_path / name),
                'experiment_name': name,
                'randomness.seed': 0,
                'optim_wrapper.type': 'OptimWrapper',
                'optim_wrapper.optimizer.fused': False,
                'default_hooks.runtime_info.type': 'RuntimeInfoHook',
                'default_hooks.logger.interval': 1,
                'train_dataloader.batch_size': 240,
                'train_dataloader.dataset.dataset.indices': 717,
                'train_cfg.max_epochs': 1,
                'log_level': 'WARNING',
                **options,
            }
        )
        if not channels_last:
            del cfg.default_hooks.channels_last
        runner = Runner.from_cfg(cfg)
        runner.train()
        return runner

    return run_training


@pytest.fixture
def history():
    """All values of a scalar that a runner has logged."""

    def values(runner, key='train/loss'):
        return list(runner.message_hub.get_scalar(key).data[0])

    return values
