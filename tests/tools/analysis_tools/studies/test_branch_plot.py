from pathlib import Path

import pytest

from studies.branch_plot import draw, run_names


def test_run_names():
    assert run_names([Path('work_dirs/dhm')]) == ['dhm']
    assert run_names([Path('work_dirs/dsl'), Path('work_dirs/dhm/')]) == ['dsl', 'dhm']
    assert run_names([Path('a/dsl/seed0'), Path('a/dhm/seed0')]) == [
        'dsl/seed0',
        'dhm/seed0',
    ]


def test_refuses_logs_without_branches(tmp_path):
    with pytest.raises(ValueError, match='run: the log has nothing of any branch'):
        draw({'run': {'memory': [(1, 2.0)]}}, tmp_path / 'branches.png')
    assert not list(tmp_path.iterdir())


def test_the_axis_of_accuracies_is_that_of_the_second_half(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr('studies.branch_plot.save', lambda *saved: figures.append(saved))
    accuracies = [(epoch, value) for epoch, value in enumerate((10.0, 50.0, 90.0, 95.0))]
    draw({'run': {'branch/main_top1': accuracies}}, tmp_path / 'branches.png')
    ((figure, _),) = figures
    assert figure.axes[0].get_ylim() == pytest.approx((89.75, 95.25))
