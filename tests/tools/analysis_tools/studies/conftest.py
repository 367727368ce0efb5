import pytest

from studies import results


@pytest.fixture
def versions():
    """What a row says of its machine."""
    return dict(device='CPU', dhm_plugin='1', mmpretrain='1', mmengine='0', torch='2')


@pytest.fixture
def rows(tmp_path, versions):
    """Two configs of three seeds; one seed of the second is missing."""
    path = tmp_path / 'results.csv'
    for config, seed, main in (
        ('plain', 0, 90.0),
        ('plain', 1, 91.0),
        ('dhm', 1, 91.5),
        ('dhm', 0, 92.0),
        ('plain', 2, 95.0),
    ):
        row = dict(config=config, seed=seed, epochs=1, seconds=2.0, main=main)
        if config == 'dhm':
            row.update(side0=80.0 + seed, ensemble=93.0)
        results.add(path, {**row, **versions})
    return results.read(path)
