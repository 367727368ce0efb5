"""What several tests share."""

import gc
import os
import random
import sys
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from mmengine import Config
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS
from mmpretrain.visualization import UniversalVisualizer

# Before pytest-xdist starts its workers: yapf 0.43 writes its grammar to a cache as it is
# imported, and a second process that reads it meanwhile fails with EOFError.
from yapf.yapflib import yapf_api  # noqa: F401

from dhm_plugin.models.iteration_seed import IterationSeed
from paths import ROOT


@pytest.fixture(scope='session', autouse=True)
def _plain_config_texts():
    """Leave out yapf: laying out its config is most of a short training's time.

    One stack has the function in MMEngine's module, the other imports it at each use.
    """
    with (
        mock.patch('yapf.yapflib.yapf_api.FormatCode', as_it_is),
        mock.patch('mmengine.config.config.FormatCode', as_it_is, create=True),
    ):
        yield


@pytest.fixture(scope='session', autouse=True)
def _ends_workers_soon():
    """Wait less for the workers of a runner that is collected as garbage.

    Their queues are collected first: PyTorch tells them in vain to end, and kills each
    after five seconds. A process that ends does not wait.
    """
    with mock.patch('torch.utils.data._utils.MP_STATUS_CHECK_INTERVAL', 0.1):
        yield


@pytest.fixture(scope='session', autouse=True)
def _datasets_collect_no_garbage():
    """MMEngine's data sets look for garbage as they load, among all that is imported."""
    with mock.patch('mmengine.dataset.base_dataset.gc', mock.Mock(spec=['collect'])):
        yield


@pytest.fixture
def scaled_on_cpu(monkeypatch):
    """Let MMEngine's float16 wrapper scale the loss without a GPU, in bfloat16."""
    module = 'mmengine.optim.optimizer.amp_optimizer_wrapper'
    monkeypatch.setattr(f'{module}.is_cuda_available', lambda: True)
    monkeypatch.setattr(f'{module}.GradScaler', partial(torch.amp.GradScaler, 'cpu'))


def as_it_is(text, **style):
    return text, False


# They only call what a stack has.
ONE_STACK = [
    'tests/configs/test_map.py',
    'tests/configs/test_studies.py',
    'tests/docs',
    'tests/models/losses',
    'tests/test_archive.py',
    'tests/test_folder_lock.py',
    'tests/tools/analysis_tools',
    'tests/tools/dataset_converters',
    'tests/tools/test_dist_forking.py',
]


# What is followed is slower by a third. The tests that mirror the package say what is
# covered; these run its parts together.
NO_COVER = [
    'tests/configs',
    'tests/docs',
    'tests/models/side_branches/test_families.py',
    'tests/models/side_branches/test_training.py',
    'tests/test_fake_gpu.py',
    'tests/test_parity.py',
    'tests/tools',
]


def pytest_configure(config):
    """Let a worker of pytest-xdist follow nothing of what has the mark no_cover.

    pytest-cov 7.1.0 begins twice to follow what is covered there, and pauses once.
    """
    cov = config.pluginmanager.getplugin('_cov')
    if hasattr(config, 'workerinput') and cov and cov.cov_controller:
        cov.cov_controller.cov.stop()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark what is the same on both stacks, and begin with what takes longest."""
    for marker, folders in (('one_stack', ONE_STACK), ('no_cover', NO_COVER)):
        for item in items:
            if any(item.path.is_relative_to(ROOT / folder) for folder in folders):
                item.add_marker(marker)
    items.sort(key=lambda item: not item.path.is_relative_to(ROOT / 'tests/tools'))


def pytest_collection_finish():
    """Leave what is imported alone when garbage is collected."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _known_state():
    """Build as the runner does, quietly, and with the same random numbers each time."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    # MMEngine shares them by name, and trainings of one second can have the same.
    for shared in (MessageHub, MMLogger, UniversalVisualizer):
        shared._instance_dict.clear()
    # A training that a test has killed.
    IterationSeed.hub = None
    init_default_scope('mmpretrain')
    MMLogger.get_current_instance().setLevel('WARNING')


@pytest.fixture(scope='session')
def build():
    """Build the model of a config, with its options changed, in a known random state."""

    def build_config(config, **options):
        init_default_scope('mmpretrain')
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
