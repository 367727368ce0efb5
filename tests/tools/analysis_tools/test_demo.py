"""The demo, with one epoch and two seeds."""

import demo
from paths import ROOT
from studies import results


def test_demo(inline, trains_here, tmp_path):
    command = (ROOT / 'tools/analysis_tools/demo.py', '--epochs', 1, '--seeds', 2)
    output = inline(*command, '--out', tmp_path)
    for method in ('DSL', 'DHM'):
        stripped = tmp_path / 'runs' / method / 'seed0/stripped.pth'
        assert f'{method}: without side branches, {stripped} runs in the plain' in output
    assert 'all 360 predictions are the same, bit for bit' in output
    table = (tmp_path / 'table.md').read_text()
    assert table in output
    rows = [line.strip('| ').split(' | ') for line in table.splitlines()[2:]]
    assert [row[:2] for row in rows] == [[name, '2'] for name in demo.METHODS]
    assert [row.count('-') for row in rows] == [4, 0, 0]
    assert demo.what_runs_tell(results.read(tmp_path / 'results.csv')) in output
    for name in ('curves.png', 'results.png'):
        assert (tmp_path / name).read_bytes().startswith(b'\x89PNG')
    # The folder has been moved, and it goes on there.
    moved = tmp_path.rename(tmp_path.with_name('moved'))
    stripped = moved / 'runs/DHM/seed0/stripped.pth'
    text = inline(*command, '--out', moved)
    assert f'DHM: without side branches, {stripped} runs in the plain' in text


def rows_of(**accuracies):
    return [
        dict(config=method, seed=str(seed), main=str(accuracy))
        for method, by_seed in accuracies.items()
        for seed, accuracy in enumerate(by_seed)
    ]


def test_says_what_one_run_shows():
    rows = rows_of(plain=[97, 98, 96], DSL=[98, 97, 97], DHM=[97.5, 98.6, 96.4])
    plain, dsl, dhm = demo.what_runs_tell(rows).splitlines()
    assert plain.startswith('plain: 96.00 to 98.00 % by the seed alone. ')
    assert dsl.startswith('DSL - plain: -1.00 to +1.00, of one run each ')
    end = 'of 3 seeds +0.33 ± 2.87, a 95% interval that holds 0: none is shown to win.'
    assert dsl.endswith(end)
    assert dhm.startswith('DHM - plain: +0.40 to +0.60, of one run each ')
    assert dhm.endswith('of 3 seeds +0.50 ± 0.25, a 95% interval that excludes 0.')
    one = rows_of(plain=[97], DSL=[98], DHM=[96])
    lines = demo.what_runs_tell(one).splitlines()
    assert lines[1] == 'DSL - plain: +1.00 to +1.00, of one run each and the same seed.'
