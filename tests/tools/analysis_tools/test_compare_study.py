"""A study: it is tuned, its choice is frozen, and only then the test images are read."""

import json

import numpy as np
import pytest

from locks import process_in
from paths import ROOT
from studies import results

COMPARE = ROOT / 'tools/analysis_tools/compare_methods.py'
TEMPERATURE = ROOT / 'tools/analysis_tools/temperature.py'
CONFIG = """
_base_ = '{base}'

train_dataloader = dict(
    dataset=dict(dataset=dict(indices=1237)),
    sampler=dict(_delete_=True, type='InfinitePartSampler', images=300),
)
val_dataloader = dict(dataset=dict(split='train', indices=-200))
test_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='FashionMNIST',
        data_root='{data}',
        split='test',
        test_mode=True,
        pipeline=[dict(type='PackInputs')],
    )
)
# What starts sooner.
model = dict(backbone=dict(depth=8))
optim_wrapper = dict(type='OptimWrapper')
param_scheduler = [dict(type='CosineAnnealingLR', by_epoch=False, end=10)]
train_cfg = dict(_delete_=True, by_epoch=False, max_iters=10, val_interval=10)
"""
STUDY = """
methods = dict(
    plain=dict(config='plain.py'),
    dhm=dict(config='dhm.py'),
    longer=dict(config='plain.py', costs='dhm'),
)
iterations = 5
grid = {'optim_wrapper.optimizer.lr': [1e-9, 0.05]}
tuning_seeds = [0]
seeds = [1, 2]
claims = [['dhm', 'plain'], ['dhm', 'longer']]
"""


@pytest.fixture
def study(tmp_path):
    """The file of a study of the digits whose test images are not there yet."""
    for name, base in (('plain', 'resnet20'), ('dhm', 'resnet20_dhm')):
        base = ROOT / f'configs/{name}/{base}_1xb64_digits.py'
        text = CONFIG.format(base=base, data=tmp_path / 'images')
        (tmp_path / f'{name}.py').write_text(text)
    path = tmp_path / 'study.py'
    path.write_text(STUDY)
    return path


def write_test_images(folder):
    """Ten images, in the files that MMPretrain's MNIST reads."""
    folder.mkdir()
    images = np.random.default_rng(0).integers(0, 17, (10, 8, 8), np.uint8)
    for split in ('train', 't10k'):
        for kind, magic, array in (
            ('images-idx3', 0x803, images),
            ('labels-idx1', 0x801, np.arange(10, dtype=np.uint8)),
        ):
            header = np.array([magic, *array.shape], '>i4').tobytes()
            (folder / f'{split}-{kind}-ubyte').write_bytes(header + array.tobytes())


def test_tunes_freezes_and_then_reads_the_test_images(
    inline, trains_here, study, tmp_path
):
    out = tmp_path / 'out'
    command = (COMPARE, study, '--out', out)
    text = inline(*command, code=1)
    assert f'{out / "choice.json"}: is missing; before the final runs the tuning' in text
    assert not (out / 'results.csv').exists()

    # There are no test images: nobody has read them.
    assert not (tmp_path / 'images').exists()
    text = inline(*command, '--tune')
    assert '| tuning | lr1e-09 | lr0.05 |' in text
    rows = results.read(out / 'tuning.csv')
    names = [f'{m}_lr{lr}' for m in ('plain', 'dhm', 'longer') for lr in (1e-9, 0.05)]
    assert sorted(row['config'] for row in rows) == sorted(names)
    assert {row['seed'] for row in rows} == {'0'}
    choice = (out / 'choice.json').read_text()
    accuracies = {row['config']: float(row['main']) for row in rows}
    best = {}
    for method in ('plain', 'dhm', 'longer'):
        worse, better = (accuracies[f'{method}_lr{lr}'] for lr in (1e-9, 0.05))
        best[method] = {'optim_wrapper.optimizer.lr': 0.05 if better > worse else 1e-9}
    assert json.loads(choice)['chosen'] == best
    # Nothing is left to do; what is frozen stays.
    assert ' seed 0: ' not in inline(*command, '--tune')
    assert (out / 'choice.json').read_text() == choice

    # The frozen choice is of other claims; nothing is trained to find that out.
    study.write_text(STUDY.replace("claims = [['dhm', 'plain'],", 'claims = ['))
    for option in ((), ('--tune',)):
        text = inline(*command, *option, code=1)
        assert "claims.0: it has ['dhm', 'plain'], asked is ['dhm', 'longer']" in text
    study.write_text(STUDY)

    write_test_images(tmp_path / 'images')
    text = inline(*command)
    rows = results.read(out / 'results.csv')
    runs = {(row['config'], row['seed']): row for row in rows}
    assert sorted(runs) == [(m, s) for m in ('dhm', 'longer', 'plain') for s in '12']
    for row in rows:
        settings = json.loads(row['settings'])
        assert settings['val_dataloader']['dataset']['data_root'].endswith('images')
        lr = settings['optim_wrapper']['optimizer']['lr']
        assert best[row['config']] == {'optim_wrapper.optimizer.lr': lr}
        assert float(row['main']) % 10 == 0
        assert float(row['nll_main']) > 0
    plain, dhm, longer = (runs[name, '1'] for name in ('plain', 'dhm', 'longer'))
    assert plain['iterations'] == dhm['iterations'] == '5'
    # As near as whole iterations come.
    step = int(plain['flops']) / 5
    assert 0 <= int(longer['flops']) - int(dhm['flops']) < step
    assert int(longer['flops']) == pytest.approx(step * int(longer['iterations']))
    text = (out / 'results.md').read_text()
    assert '| longer | 2 | ' in text
    assert '| dhm - longer | ' in text
    assert ' seed 1: ' not in inline(*command)

    text = inline(TEMPERATURE, study, '--out', out)
    assert '| longer | ' in text
    scaled = out / 'temperature.csv'
    assert results.by_run(results.read(scaled)).keys() == results.by_run(rows).keys()
    # Rows that are gone, or are those of another network by now.
    whole = scaled.read_text()
    scaled.write_text(whole.replace(rows[0]['nll_main'], '7.0'))
    text = inline(TEMPERATURE, study, '--out', out, code=1)
    assert 'seed 1, was measured of another network than its row in results.csv' in text
    scaled.write_text(whole)
    with process_in(out) as other:
        text = inline(TEMPERATURE, study, '--out', out, code=1)
    assert f'temperature.py: {out}: in use by process {other} on ' in text
    # A checkpoint of another network than the rows'.
    scaled.unlink()
    kept = (out / 'results.csv').rename(out / 'kept.csv')
    near = [f'{float(row["nll_main"]) + 3e-4:.4f}' for row in rows]
    for row, nll in zip(rows, near):
        results.add(out / 'results.csv', {**row, 'nll_main': nll})
    text = inline(TEMPERATURE, study, '--out', out, code=1)
    assert any(
        f'its row in results.csv {nll}: it is another network' in text for nll in near
    )
    kept.rename(out / 'results.csv')

    # Nothing is chosen any more.
    (out / 'choice.json').unlink()
    text = inline(*command, '--tune', code=1)
    assert f'{out / "results.csv"}: has final runs, but there is no choice.json' in text
    (out / 'choice.json').write_text(choice)
    # Seeds that are not listed are found before others are trained.
    study.write_text(STUDY.replace('seeds = [1, 2]', 'seeds = [1, 3]'))
    text = inline(*command, code=1)
    assert 'results.csv: has rows of the seeds [2], which the study does not' in text
    assert ' seed 3: ' not in text
    study.write_text(STUDY)

    # Another grid, a choice that is not the rows', another config.
    study.write_text(STUDY.replace('[1e-9, 0.05]', '[1e-9, 0.05, 0.1]'))
    text = inline(*command, code=1)
    assert f'{out / "choice.json"}: was chosen from another study:\n' in text
    name = 'grid.optim_wrapper.optimizer.lr'
    assert f'  {name}: it has [1e-09, 0.05], asked is [1e-09, 0.05, 0.1]\n' in text
    study.write_text(STUDY)
    had = best['plain']['optim_wrapper.optimizer.lr']
    changed = choice.replace(f'lr": {had}', 'lr": 1.0', 1)
    (out / 'choice.json').write_text(changed)
    text = inline(*command, code=1)
    assert 'choice.json: is not what the rows of tuning.csv choose:\n' in text
    assert f'  plain.optim_wrapper.optimizer.lr: it has 1.0, asked is {had}\n' in text
    (out / 'choice.json').write_text(choice)
    with (tmp_path / 'dhm.py').open('a') as file:
        file.write('optim_wrapper = dict(optimizer=dict(weight_decay=0.5))\n')
    text = inline(*command, code=1)
    assert 'tuning.csv: the row of dhm_lr1e-09, seed 0, was trained with other' in text
    assert '  optim_wrapper.optimizer.weight_decay: it has 0.0005, asked is 0.5\n' in text


def test_refuses_options_that_the_study_says(inline, study, tmp_path):
    for option in (('--seeds', 2), ('--cfg-options', 'a=1')):
        text = inline(COMPARE, study, '--out', tmp_path / 'out', *option, code=2)
        assert f'{study}: this study says its options and seeds itself' in text
    plain = ROOT / 'configs/plain/resnet20_1xb64_digits.py'
    for configs, message in (
        ((plain, '--tune'), '--tune needs the file of a study'),
        ((study, '--tune', '--consistency', 2), 'measures the final runs: leave out'),
        ((plain, study), f'{study}: is the file of a study; give it alone'),
        ((plain, '--no-train', '--seeds', 2), '--no-train shows rows as they are'),
    ):
        text = inline(COMPARE, *configs, '--out', tmp_path / 'out', code=2)
        assert message in text
    assert not (tmp_path / 'out').exists()
