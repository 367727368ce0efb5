import shutil

import pytest

from paths import ROOT
from studies import results

COMPARE = ROOT / 'tools/analysis_tools/compare_studies.py'
MAP = ROOT / 'configs/studies/map'
STAGES = [MAP / 'stage1.py', MAP / 'stage4_1500.py']


@pytest.fixture
def folder(tmp_path):
    """The rows of two stages."""
    for stage in STAGES:
        shutil.copytree(stage.with_suffix(''), tmp_path / stage.stem)
    return tmp_path


def test_claims_of_all_and_what_they_cost(inline, folder, tmp_path):
    out = tmp_path / 'out'
    text = inline(COMPARE, *STAGES, '--results', folder, '--out', out)
    claims = (out / 'claims.md').read_text()
    assert claims in text
    settings, claims = (table.splitlines()[2:] for table in claims.split('\n\n'))
    assert [line.split('|')[2].strip() for line in settings] == ['6,000', '1,500']
    names = [line.split('|')[1].strip() for line in claims]
    first, second = (
        [f'{stage.stem}: dhm - {other}' for other in ('plain', 'dsl', 'plain-as-dhm')]
        for stage in STAGES
    )
    assert names == [*first, *second]
    assert (out / 'costs.png').read_bytes().startswith(b'\x89PNG')


@pytest.mark.parametrize('done', [0, 39])
def test_claims_whose_runs_are_still_to_come_are_counted(inline, folder, tmp_path, done):
    out = tmp_path / 'out'
    command = (COMPARE, *STAGES, '--results', folder, '--out', out)
    path = folder / 'stage4_1500/results.csv'
    lines = path.read_text().splitlines(keepends=True)
    path.write_text(''.join(lines[: 1 + done]))
    told = f'stage4_1500: {done} of 40 final runs are done; it is shown when all are'
    assert (told in inline(*command)) == (done > 0)
    settings, claims = (out / 'claims.md').read_text().split('\n\n')
    assert len(settings.splitlines()) == 3
    assert "Holm's correction over 6 claims" in claims
    assert len(claims.splitlines()) == 5
    assert (out / 'costs.png').stat().st_size > 5000


def test_names_what_it_cannot_show(inline, folder, tmp_path):
    out = tmp_path / 'out'
    command = (COMPARE, *STAGES, '--results', folder, '--out', out)
    csv = folder / 'stage4_1500/results.csv'
    text = csv.read_text()
    other = dict(config='dhm', seed=77, flops=1, seconds=1, main=99)
    results.add(csv, other)
    assert 'results.csv: has rows of the seeds [77]' in inline(*command, code=1)
    # Rows of another study.
    shutil.copy(folder / 'stage1/results.csv', csv)
    assert f'{csv}: the row of plain, seed 10, was trained with' in inline(
        *command, code=1
    )
    csv.write_text(text)
    choice = (folder / 'stage4_1500/choice.json').rename(folder / 'choice.json')
    assert 'choice.json: is missing' in inline(*command, code=1)
    choice.rename(folder / 'stage4_1500/choice.json')
    named_so = tmp_path / 'stage1.py'
    named_so.write_text(f"_base_ = '{STAGES[0]}'")
    message = f'{named_so}: two studies are named stage1'
    assert message in inline(COMPARE, *STAGES, named_so, *command[3:], code=1)
    for stage in STAGES:
        (folder / stage.stem / 'results.csv').unlink()
    assert f'{folder}: has all final runs of none of these studies' in inline(
        *command, code=1
    )
    assert not out.exists()
