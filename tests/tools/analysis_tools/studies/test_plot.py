import pytest

from studies.plot import plot


@pytest.mark.parametrize('name', ['plot.png', 'plot.svg'])
def test_plot(rows, name, tmp_path):
    plot(rows, ['plain', 'dhm', 'not trained'], tmp_path / name)
    assert (tmp_path / name).stat().st_size > 5000
