import pytest

from studies.plot import plot


@pytest.mark.parametrize('name', ['plot.png', 'plot.svg'])
def test_plot(rows, name, tmp_path):
    plot(rows, ['plain', 'dhm', 'not trained'], tmp_path / name)
    assert (tmp_path / name).stat().st_size > 5000


def test_every_run_is_a_point(rows, tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr('studies.plot.save', lambda *saved: figures.append(saved))
    plot(rows, ['plain', 'dhm', 'not trained'], tmp_path / 'plot.png')
    ((figure, _),) = figures
    left, right = figure.axes
    points, means = (
        [sorted(line.get_xdata()) for line in left.lines[first::2]] for first in (0, 1)
    )
    assert points == [[90, 91, 95], [91.5, 92]]
    assert means == [[92, 92], [91.75, 91.75]]
    assert [label.get_text() for label in left.get_yticklabels()] == ['plain', 'dhm']
    # Of seeds 0 and 1: their differences, their mean with its interval, and where 0 is.
    found, mean, *_, zero = right.lines
    assert sorted(found.get_xdata()) == [0.5, 2]
    assert list(mean.get_xdata()) == [1.25]
    (interval,) = (bar.get_segments()[0][:, 0] for bar in right.collections)
    assert interval == pytest.approx([1.25 - 9.53, 1.25 + 9.53], abs=0.01)
    assert list(zero.get_xdata()) == [0, 0]
