import re
from pathlib import Path

import pytest

from studies.cost_plot import lines, plot
from studies.study import Study

PLAIN, DHM = Path('plain.py'), Path('dhm.py')


def study(title, **configs):
    return Study(Path(), configs, [0, 1], title=title)


def rows_of(config, flops, *accuracies):
    return [
        dict(config=config, seed=str(seed), flops=str(flops), main=str(accuracy))
        for seed, accuracy in enumerate(accuracies)
    ]


@pytest.fixture
def studies():
    """Two lengths of one setting, and another one of which a method is missing."""
    return [
        (
            study('few', plain=PLAIN, dhm=DHM, longer=PLAIN),
            [
                *rows_of('plain', 1e12, 80, 82),
                *rows_of('dhm', 2e12, 83, 84),
                *rows_of('longer', 2e12, 82, 83),
            ],
        ),
        (study('few', plain=PLAIN, dhm=DHM), rows_of('plain', 4e12, 85, 86)),
        (study('many', plain=PLAIN, dhm=DHM), rows_of('plain', 1e12, 90)),
    ]


def test_lengths_of_a_method_are_one_line(studies):
    assert lines(studies) == {
        'few': {
            'plain': {1e12: {0: 80, 1: 82}, 2e12: {0: 82, 1: 83}, 4e12: {0: 85, 1: 86}},
            'dhm': {2e12: {0: 83, 1: 84}},
        },
        'many': {'plain': {1e12: {0: 90}}},
    }


def test_runs_of_two_settings_do_not_share_a_panel(studies):
    again = (study('few', plain=PLAIN), rows_of('plain', 1e12, 80))
    assert lines([*studies, again]) == lines(studies)
    other = (study('few', plain=PLAIN), rows_of('plain', 1e12, 80.5))
    message = "plain, seed 0: two studies with the title 'few' have different settings or"
    with pytest.raises(ValueError, match=message):
        lines([*studies, other])
    # Other seeds of another learning rate.
    rows = [dict(row, seed='7', settings='{}') for row in rows_of('plain', 1e12, 80)]
    with pytest.raises(ValueError, match=message.replace('seed 0', 'seed 7')):
        lines([*studies, (study('few', plain=PLAIN), rows)])


def test_plot(studies, tmp_path):
    path = tmp_path / 'costs.svg'
    plot(lines(studies), path)
    labels = re.findall(r'<text[^>]*>([^<]+)</text>', path.read_text())
    # A panel each; in the legend each method once.
    for label in ('few', 'many', 'plain', 'dhm'):
        assert labels.count(label) == 1
    assert 'longer' not in labels
    assert labels.count('2') == 2
    plot(lines(studies), tmp_path / 'costs.png')
    assert (tmp_path / 'costs.png').read_bytes().startswith(b'\x89PNG')


def test_the_points_are_means_and_their_bars_intervals(studies, tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr('studies.cost_plot.save', lambda *saved: figures.append(saved))
    plot(lines(studies), tmp_path / 'costs.png')
    ((figure, _),) = figures
    few, many = figure.axes
    plain, dhm = few.containers
    assert [*plain.lines[0].get_ydata()] == [81, 82.5, 85.5]
    assert plain.lines[0].get_xdata() == pytest.approx([1, 2, 4], rel=0.02)
    # DHM's cost is the second one's; it stands beside it.
    assert plain.lines[0].get_xdata()[1] < dhm.lines[0].get_xdata()[0]
    ends = plain.lines[2][0].get_segments()[1][:, 1]
    # Student's t of two seeds that differ by 1: 12.7 times 0.5.
    assert ends == pytest.approx([82.5 - 6.35, 82.5 + 6.35], abs=0.01)
    assert [*many.containers[0].lines[0].get_ydata()] == [90]
