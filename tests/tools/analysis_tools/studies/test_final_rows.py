import shutil

from paths import ROOT
from studies import results
from studies.final_rows import final_rows
from studies.study import read_study

STAGE = ROOT / 'configs/studies/map/stage4_1500.py'


def test_what_is_done_and_whether_it_is_all(tmp_path):
    csv = tmp_path / 'results.csv'
    study = read_study(STAGE, tmp_path)
    assert not final_rows(study).finished
    shutil.copytree(STAGE.with_suffix(''), tmp_path, dirs_exist_ok=True)
    whole = results.read(csv)
    finals = final_rows(study)
    assert (finals.rows, finals.number, finals.finished) == (whole, 40, True)
    # A run twice, and a row of a method that the study does not have, are no other runs.
    lines = csv.read_text().splitlines(keepends=True)
    csv.write_text(''.join([*lines[:-1], lines[-2]]))
    results.add(csv, dict(config='other', seed=99, main=1.0))
    finals = final_rows(study)
    assert (len(finals.rows), finals.number, finals.finished) == (40, 40, False)
