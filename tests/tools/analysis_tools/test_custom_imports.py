import pytest
from mmengine.config import Config

from custom_imports import add_imports


@pytest.mark.parametrize(
    ('given', 'expected'),
    [
        ({}, ['dhm_plugin']),
        ({'custom_imports': dict(imports=['mine'])}, ['mine', 'dhm_plugin']),
        # Seen in the benchmark: one letter a module.
        ({'custom_imports': dict(imports='mine')}, ['mine', 'dhm_plugin']),
    ],
)
def test_adds_to_what_is_imported(given, expected):
    cfg = Config(given)
    add_imports(cfg, 'dhm_plugin')
    assert cfg.custom_imports.imports == expected
