"""What several tests share."""

import os
import random
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS

import dhm_plugin  # noqa: F401
from paths import ROOT

# They have no doctests, and several modules of one name cannot be imported.
collect_ignore_glob = ['**/conftest.py']


@pytest.fixture(autouse=True)
def _known_state():
    """Build as the runner does, quietly, and with the same random numbers each time."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    init_default_scope('mmpretrain')
    MMLogger.get_current_instance().setLevel('WARNING')


@pytest.fixture
def build():
    """Build the model of a config, with its options changed, in a known random state."""

    def build_config(config, **options):
        cfg = Config.fromfile(ROOT / 'configs' / config)
        cfg.merge_from_dict(options)
        torch.manual_seed(0)
        model = MODELS.build(cfg.model)
        model.init_weights()
        return model

    return build_config


@pytest.fixture(scope='session')
def tool_env():
    """Environment of the command lines: this Python, this checkout, one thread."""
    path = f'{Path(sys.executable).parent}:{os.environ["PATH"]}'
    return {**os.environ, 'PATH': path, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}
