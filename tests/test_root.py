from dhm_plugin import root
from paths import ROOT


def test_the_root_is_the_checkout():
    assert root.find_root() == ROOT


def test_what_the_wheel_carries_comes_first(monkeypatch, tmp_path):
    monkeypatch.setattr(root, 'PACKAGE', tmp_path / 'dhm_plugin')
    assert root.find_root() == tmp_path
    (tmp_path / 'dhm_plugin' / '.mim').mkdir(parents=True)
    assert root.find_root() == tmp_path / 'dhm_plugin' / '.mim'
