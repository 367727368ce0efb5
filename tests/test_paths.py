from paths import ROOT

from dhm_plugin import paths


def test_the_checkout():
    assert paths.find_root() == ROOT


def test_what_the_wheel_carries_comes_first(monkeypatch, tmp_path):
    monkeypatch.setattr(paths, 'PACKAGE', tmp_path / 'dhm_plugin')
    assert paths.find_root() == tmp_path
    (tmp_path / 'dhm_plugin' / '.mim').mkdir(parents=True)
    assert paths.find_root() == tmp_path / 'dhm_plugin' / '.mim'
