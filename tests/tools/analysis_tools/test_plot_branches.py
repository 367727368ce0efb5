import re

import pytest

from paths import ROOT

PLOT = ROOT / 'tools/analysis_tools/plot_branches.py'
CONFIGS = {
    'plain': 'plain/resnet20_1xb64_digits.py',
    'dsl': 'dsl/resnet20_dsl_1xb64_digits.py',
    'dhm': 'dhm/resnet20_dhm_1xb64_digits.py',
}
SHORT = """
_base_ = '{config}'
train_cfg = dict(max_epochs=2)
train_dataloader = dict(batch_size=120, dataset=dict(dataset=dict(indices=240)))
default_hooks = dict(logger=dict(interval=1))
"""
ALL = """
model = dict(neck=dict(eval_branches=True))
val_evaluator = [
    dict(type='Accuracy', topk=(1,)),
    dict(type='BranchAccuracy'),
    dict(type='BranchDivergences'),
    dict(type='Calibration'),
]
default_hooks['consistency'] = dict(type='ConsistencyHook', interval=1)
"""
OF_EVERY_BRANCH = ('cross-entropy', 'validation accuracy (%)')
OF_BRANCHES = (
    'validation cross-entropy',
    'validation divergence, teacher to student',
    'divergence, teacher to student',
    'cosine of gradients, whole loss',
    'cosine of gradients, cross-entropy',
    'CKA of features',
    'side0_main',
    'stage1_side1_main',
    'ensemble',
)


@pytest.fixture
def work_dirs(python, tmp_path_factory):
    """A short training of each method, with all that is drawn."""
    root = tmp_path_factory.mktemp('runs')
    for method, config in CONFIGS.items():
        path = root / f'{method}.py'
        text = SHORT.format(config=ROOT / 'configs' / config)
        path.write_text(text + ('' if method == 'plain' else ALL))
        python(ROOT / 'tools/train.py', path, '--work-dir', root / method)
    return root


def test_draws(work_dirs, python, inline, tmp_path):
    for methods in (['plain'], ['dsl'], ['dhm'], ['dsl', 'dhm']):
        out = tmp_path / 'branches.svg'
        inline(PLOT, *(work_dirs / method for method in methods), '--out', out)
        text = out.read_text()
        assert text.startswith('<?xml')
        labels = re.findall(r'<text[^>]*>([^<]+)</text>', text)
        assert {*OF_EVERY_BRANCH, 'main'} <= {*labels}
        assert ({*OF_BRANCHES} <= {*labels}) == (methods != ['plain'])
        assert ('mimicking loss' in labels) == ('dhm' in methods)
        assert ({'dsl', 'dhm'} <= {*labels}) == (len(methods) == 2)
    python(PLOT, work_dirs / 'dhm', '--out', tmp_path / 'branches.png')
    assert (tmp_path / 'branches.png').read_bytes().startswith(b'\x89PNG')


def test_names_the_folder_without_a_log(inline, tmp_path):
    output = inline(PLOT, tmp_path, code=1)
    assert f'plot_branches.py: {tmp_path}: there is no log in' in output
