import pytest

from paths import ROOT
from studies import results

COMPARE = ROOT / 'tools/analysis_tools/compare_studies.py'
MAP = ROOT / 'configs/studies/map'
STAGES = [MAP / 'stage1.py', MAP / 'stage2.py']


@pytest.fixture
def folder(tmp_path):
    """Made-up rows of two stages."""
    for stage, gain, length in zip(STAGES, (1, 0), (6, 25)):
        for name, flops in (('plain', 2e12), ('dhm', 5e12), ('plain-as-dhm', 5e12)):
            for seed, noise in enumerate((0, 0.1, 0.3), 10):
                main = 90 + gain * (name == 'dhm') + noise * len(name) % 0.7
                row = dict(config=name, seed=seed, flops=length * flops, seconds=1)
                path = tmp_path / stage.stem / 'results.csv'
                results.add(path, {**row, 'main': main})
    return tmp_path


def test_claims_of_all_and_what_they_cost(inline, folder, tmp_path):
    out = tmp_path / 'out'
    text = inline(COMPARE, *STAGES, '--results', folder, '--out', out)
    claims = (out / 'claims.md').read_text()
    assert claims in text
    settings, claims = (table.splitlines()[2:] for table in claims.split('\n\n'))
    assert [line.split('|')[2].strip() for line in settings] == ['6,000', '25,000']
    names = [line.split('|')[1].strip() for line in claims]
    pairs = ('dhm - plain', 'dhm - plain-as-dhm')
    # There is no row of dsl.
    assert names == [f'{s.stem}: {pair}' for s in STAGES for pair in pairs]
    assert (out / 'costs.png').read_bytes().startswith(b'\x89PNG')


def test_claims_whose_runs_are_still_to_come_are_counted(inline, folder, tmp_path):
    out = tmp_path / 'out'
    command = (COMPARE, *STAGES, '--results', folder, '--out', out)
    (folder / 'stage2/results.csv').unlink()
    inline(*command)
    settings, claims = (out / 'claims.md').read_text().split('\n\n')
    assert len(settings.splitlines()) == 3
    assert "Holm's correction over 6 claims" in claims
    assert len(claims.splitlines()) == 4
    assert (out / 'costs.png').stat().st_size > 5000


def test_names_what_it_cannot_show(inline, folder, tmp_path):
    out = tmp_path / 'out'
    command = (COMPARE, *STAGES, '--results', folder, '--out', out)
    other = dict(config='dhm', seed=77, flops=1, seconds=1, main=99)
    results.add(folder / 'stage2/results.csv', other)
    assert 'results.csv: has rows of the seeds [77]' in inline(*command, code=1)
    for stage in STAGES:
        (folder / stage.stem / 'results.csv').unlink()
    assert f'{folder}: has no row of any of these studies' in inline(*command, code=1)
    assert not out.exists()
