"""What the README shows works."""

import re
import textwrap

from mmengine import Config

from dhm_plugin import __version__
from paths import ROOT

TEXT = (ROOT / 'README.md').read_text()


def test_the_config_example_is_resnet18_dhm(tmp_path, build):
    section = TEXT.split('## DHM on your own config')[1].split('\n- ')[0]
    example = textwrap.dedent(section)
    base = ROOT / 'configs/plain/resnet18_8xb32_in1k.py'
    (tmp_path / 'my_resnet18.py').write_text(f"_base_ = '{base}'")
    (tmp_path / 'example.py').write_text(example)
    ours = Config.fromfile(ROOT / 'configs/dhm/resnet18_dhm_8xb32_in1k.py')
    shown = Config.fromfile(tmp_path / 'example.py')
    assert shown.model == ours.model
    assert shown.custom_hooks == ours.custom_hooks
    assert shown.custom_imports == ours.custom_imports


def test_the_citation_is_of_this_version():
    assert f'version: {__version__}\n' in (ROOT / 'CITATION.cff').read_text()


def test_every_file_is_there():
    paths = set(
        re.findall(r'\b(?:configs|tools|tests)/[\w/.]*\.(?:py|sh|svg|md)\b', TEXT)
    )
    assert len(paths) > 8
    assert [path for path in paths if not (ROOT / path).is_file()] == []
