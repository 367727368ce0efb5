import pytest
from paths import ROOT

PLOT = ROOT / 'tools/analysis_tools/plot_branches.py'
CONFIGS = {
    'plain': 'plain/resnet20_1xb64_digits.py',
    'dsl': 'dsl/resnet20_dsl_1xb64_digits.py',
    'dhm': 'dhm/resnet20_dhm_1xb64_digits.py',
}


@pytest.fixture
def work_dirs(python, tmp_path_factory):
    """A short training of each method, with all that is drawn."""
    root = tmp_path_factory.mktemp('runs')
    for method, config in CONFIGS.items():
        options = ['train_cfg.max_epochs=2', 'train_dataloader.batch_size=480']
        options += ['default_hooks.logger.interval=1']
        if method != 'plain':
            options += ['default_hooks.consistency.type=ConsistencyHook']
            options += ['default_hooks.consistency.interval=2']
        python(
            ROOT / 'tools/train.py',
            ROOT / 'configs' / config,
            *('--work-dir', root / method, '--cfg-options', *options),
        )
    return root


def test_draws(work_dirs, python, tmp_path):
    for methods, suffix, start in (
        (['plain'], 'png', b'\x89PNG'),
        (['dsl'], 'svg', b'<?xml'),
        (['dhm'], 'png', b'\x89PNG'),
        (['dsl', 'dhm'], 'svg', b'<?xml'),
    ):
        out = tmp_path / f'branches.{suffix}'
        python(PLOT, *(work_dirs / method for method in methods), '--out', out)
        content = out.read_bytes()
        assert len(content) > 10000
        assert content.startswith(start)


def test_names_the_folder_without_a_log(python, tmp_path):
    output = python(PLOT, tmp_path, code=1)
    assert f'plot_branches.py: {tmp_path}: there is no log in' in output
