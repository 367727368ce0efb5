from studies import results
from studies.tables import consistency_table, table


def test_table(rows):
    lines = table(rows, ['plain', 'dhm', 'not trained']).splitlines()
    assert lines[0].startswith('| config | seeds | main | side0 | ensemble | main - that')
    assert lines[2] == '| plain | 3 | 92.00 ± 2.65 | - | - | - |'
    assert lines[3] == (
        '| dhm | 2 | 91.75 ± 0.35 | 80.50 ± 0.71 | 93.00 ± 0.00 | '
        '+1.25 ± 9.53 (2 seeds) |'
    )
    assert len(lines) == 4


def test_one_seed_has_no_interval(rows):
    of_one = [row for row in rows if row['seed'] == '0']
    line = table(of_one, ['plain', 'dhm']).splitlines()[-1]
    assert line == '| dhm | 1 | 92.00 | 80.00 | 93.00 | +2.00 (1 seed) |'


def test_consistency_table(tmp_path, versions):
    path = tmp_path / 'results.csv'
    for config, cosines in (('plain', ()), ('dsl', (0.1, 0.3)), ('dhm', (0.4, 0.4))):
        for seed in (0, 1):
            row = dict(config=config, seed=seed, epochs=1, seconds=2.0, main=90.0)
            for cosine in cosines[seed : seed + 1]:
                row.update(side0=80.0, cosine_stage0_side0_main=cosine)
            results.add(path, {**row, **versions})
    rows = results.read(path)
    assert results.branches(rows) == ['main', 'side0']
    configs = ['plain', 'dsl', 'dhm']
    assert consistency_table(rows, configs).splitlines() == [
        '',
        '| mean over the training | dsl | dhm | dhm - dsl (95% interval) |',
        '| --- | --- | --- | --- |',
        '| cosine_stage0_side0_main | 0.20 ± 0.14 | 0.40 ± 0.00 | +0.20 ± 1.27 |',
    ]
    assert consistency_table(rows, ['plain']) == ''
    line = consistency_table(rows[:3], configs).splitlines()[-1]
    assert line == '| cosine_stage0_side0_main | 0.10 | 0.40 | +0.30 (1 seed) |'
    # Without a common seed there is nothing to compare.
    apart = [row for row in rows if (row['config'], row['seed']) != ('dsl', '0')]
    apart = [row for row in apart if (row['config'], row['seed']) != ('dhm', '1')]
    line = consistency_table(apart, configs).splitlines()[-1]
    assert line == '| cosine_stage0_side0_main | 0.30 | 0.40 | - |'
