import csv
import re
import shutil

import torch

from locks import process_in
from paths import ROOT
from studies import results

COMPARE = ROOT / 'tools/analysis_tools/compare_methods.py'
PLAIN = ROOT / 'configs/plain/resnet8_1xb64_digits.py'
DHM = ROOT / 'configs/dhm/resnet8_dhm_1xb64_digits.py'
SHORT = (
    'train_dataloader.batch_size=120',
    'train_dataloader.dataset.dataset.indices=240',
    'default_hooks.logger.interval=1',
)


def rows_of(folder):
    path = folder / 'results.csv'
    if not path.is_file():
        return []
    with path.open() as file:
        return list(csv.DictReader(file))


def command(folder, epochs, *configs):
    options = ['--seeds', '1', '--jobs', '1', '--consistency', '2']
    options += ['--cfg-options', *SHORT]
    options.append(f'train_cfg.max_epochs={epochs}')
    configs = configs or (PLAIN, DHM)
    return [str(part) for part in (COMPARE, *configs, '--out', folder, *options)]


def test_goes_on_where_it_was_killed(inline, trains_here, tmp_path):
    text = inline(*command(tmp_path, 3))
    whole = rows_of(tmp_path)
    assert [row['config'] for row in whole] == [PLAIN.stem, DHM.stem]
    assert [row['epochs'] for row in whole] == ['3', '3']
    assert whole[0]['cosine_stage0_side0_main'] == ''
    assert -1 < float(whole[1]['cosine_stage0_side0_main']) < 1
    line = r'^\[2/2\] resnet8_dhm_1xb64_digits, seed 0: [\d.]+ % in \d+ (s|min)$'
    assert re.search(line, text, re.M)
    assert '| resnet8_dhm_1xb64_digits | 1 | ' in (tmp_path / 'results.md').read_text()
    assert (tmp_path / 'results.png').stat().st_size > 5000
    # Nothing is left to do.
    assert '[2/2]' not in inline(*command(tmp_path, 3))
    # As if it had been killed when the third epoch of the second training was over.
    rows = (tmp_path / 'results.csv').read_text().splitlines(keepends=True)
    (tmp_path / 'results.csv').write_text(''.join(rows[:-1]))
    run = tmp_path / 'runs' / DHM.stem / 'seed0'
    second = run / 'epoch_2.pth'
    before = second.read_bytes()
    # Its folder is named by the second, in which the next may start.
    (log,) = run.glob('*/*.log')
    log.parent.rename(run / '0')
    text = inline(*command(tmp_path, 3))
    assert '[1/2]' not in text
    assert re.search(line, text, re.M)
    logs = [log.read_text() for log in sorted(run.glob('*/*.log'))]
    assert ['resumed epoch: 3' in log for log in logs] == [False, True]
    assert second.read_bytes() == before
    # The same came out as without an interruption.
    rows = rows_of(tmp_path)
    assert rows[0] == whole[0]
    assert {**rows[1], 'seconds': ''} == {**whole[1], 'seconds': ''}
    # Only the rows are left. Seen: with max_epochs=1 lr=99 they were given as if they
    # were of that.
    alone = tmp_path / 'alone'
    alone.mkdir()
    shutil.copy(tmp_path / 'results.csv', alone)
    options = ('optim_wrapper.optimizer.lr=99', '--seeds', '2')
    text = inline(*command(alone, 7), *options, code=1)
    row = f'{alone / "results.csv"}: the row of {PLAIN.stem}, seed 0, '
    assert f'compare_methods.py: {row}was trained with other settings:\n' in text
    assert '  optim_wrapper.optimizer.lr: it has 0.05, asked is 99\n' in text
    assert '  train_cfg.max_epochs: it has 3, asked is 7\n' in text
    assert 'main - that of' not in text
    assert [path.name for path in alone.iterdir()] == ['results.csv']
    assert f'| {PLAIN.stem} | 1 | ' in inline(*command(alone, 3))
    # The trainings that are there were made with other settings.
    (tmp_path / 'results.csv').unlink()
    text = inline(*command(tmp_path, 5), code=1)
    assert 'seed0.py: this training was begun with other settings' in text
    assert 'train_cfg.max_epochs: it has 3, asked is 5' in text


def test_the_second_study_in_a_folder_is_refused(inline, tmp_path):
    with process_in(tmp_path) as other:
        text = inline(*command(tmp_path, 1, PLAIN), code=1)
    assert f'compare_methods.py: {tmp_path}: in use by process {other} on ' in text
    assert [path.name for path in tmp_path.iterdir()] == ['.lock']


def test_shows_the_rows_as_they_are(inline, tmp_path):
    names = 'plain/resnet20', 'dsl/resnet20_dsl', 'dhm/resnet20_dhm'
    plain, *configs = (ROOT / f'configs/{name}_1xb64_digits.py' for name in names)
    study = ROOT / 'configs/studies/digits'
    shutil.copy(study / 'results.csv', tmp_path)
    inline(COMPARE, plain, *configs, '--out', tmp_path, '--no-train')
    lines = (tmp_path / 'results.md').read_text().splitlines()
    # They do not say what they were trained with.
    text = inline(COMPARE, plain, '--out', tmp_path, code=1)
    assert 'seed 0, does not say what it was trained with' in text
    assert lines[:5] == (study / 'results.md').read_text().splitlines()[:5]
    assert (tmp_path / 'results.png').stat().st_size > 5000
    options = ('--cfg-options', 'train_cfg.max_epochs=1')
    text = inline(COMPARE, plain, '--out', tmp_path, '--no-train', *options, code=2)
    assert '--no-train shows rows as they are: it takes no settings' in text
    other = ROOT / 'configs/plain/resnet32_1xb128_cifar10.py'
    text = inline(COMPARE, other, '--out', tmp_path, '--no-train', code=1)
    assert 'results.csv: has no row of resnet32_1xb128_cifar10' in text


def test_a_diverged_run_is_shown(inline, tmp_path):
    for seed, main in enumerate((90.0, float('nan'))):
        row = dict(config=PLAIN.stem, seed=seed, epochs=1, seconds=1, main=main)
        results.add(tmp_path / 'results.csv', row)
        results.add(tmp_path / 'results.csv', {**row, 'config': DHM.stem, 'main': 91})
    text = inline(COMPARE, PLAIN, DHM, '--out', tmp_path, '--no-train')
    assert f'| {PLAIN.stem} | 2 | nan ± nan | - |' in text
    assert f'| {DHM.stem} | 2 | 91.00 ± 0.00 | +nan ± nan (2 seeds) |' in text


def test_the_main_branches_start_equal(inline, trains_here, tmp_path):
    options = ('param_scheduler=[]', 'optim_wrapper.optimizer.lr=0.0')
    inline(*command(tmp_path, 1), *options)
    weights = []
    for config in (PLAIN, DHM):
        path = tmp_path / 'runs' / config.stem / 'seed0' / 'epoch_1.pth'
        weights.append(torch.load(path, weights_only=True)['state_dict'])
    keys = [key for key in weights[0] if key.endswith('weight')]
    assert len(keys) > 12
    for key in keys:
        assert torch.equal(weights[0][key], weights[1][key]), key
    # The same images in the same order with the same augmentation: equal statistics.
    key = 'backbone.bn1.running_mean'
    torch.testing.assert_close(weights[0][key], weights[1][key])


def test_refuses_what_cannot_be_compared(inline, tmp_path):
    other = ROOT / 'configs/plain/resnet32_1xb128_cifar10.py'
    text = inline(COMPARE, PLAIN, other, '--out', tmp_path, code=1)
    assert f'{other}: its main branch is not that of the other configs' in text
    options = ('--cfg-options', 'train_cfg.val_interval=10')
    text = inline(COMPARE, PLAIN, '--out', tmp_path, *options, code=1)
    assert f'{PLAIN}: train_cfg has max_epochs=25, val_interval=10; compared is' in text
    text = inline(COMPARE, ROOT / 'none.py', '--out', tmp_path, code=2)
    assert 'none.py' in text.splitlines()[-1]
    assert 'Traceback' not in text
    broken = tmp_path / 'broken.py'
    broken.write_text('model = dict(\n')
    text = inline(COMPARE, broken, '--out', tmp_path, code=2)
    assert f"{broken}: '(' was never closed" in text.splitlines()[-1]
    text = inline(COMPARE, PLAIN, PLAIN, '--out', tmp_path, code=2)
    assert 'the file names of configs must differ' in text
