import copy
import sys
from types import SimpleNamespace
from unittest import mock

import pytest
from mmengine.runner import Runner
from torch import nn

from dhm_plugin import DaliPreprocessor, DecodeAheadHook
from dhm_plugin.engine.hooks.decode_ahead_hook import DecodedAhead
from resumption import BY_ITER, EMA, ENCODED, ENDLESS, assert_resumes, build, config

PREPROCESSOR = dict(type='DaliPreprocessor', device='cpu', num_threads=1, to_rgb=True)


@pytest.fixture
def dali():
    pytest.importorskip('nvidia.dali', reason="pip install 'dhm_plugin[dali]'")


def with_dali(folder, encoded_validation=False, train_cfg=None, **options):
    """A config of eight iterations on JPEGs that DALI decodes."""
    folder.mkdir(exist_ok=True)
    options['train_dataloader.dataset.suffix'] = 'jpg'
    cfg = config(pipeline=ENCODED, folder=folder, **options)
    cfg.data_preprocessor = PREPROCESSOR
    cfg.train_cfg = train_cfg or cfg.train_cfg
    if encoded_validation:
        dataset = dict(cfg.val_dataloader.dataset, folder=str(folder), suffix='jpg')
        dataset['pipeline'] = [
            dict(type='LoadEncodedCenterCrop', crop_size=8, edge=9),
            dict(type='PackEncodedInputs'),
        ]
        cfg.val_dataloader.dataset = dataset
    return cfg


class Preprocessor(DaliPreprocessor):
    """Decodes nothing, and says what it was asked for."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def prefetch(self, data):
        self.asked.append(data)
        return -data


@pytest.mark.parametrize('batches', [1, 2, 9])
def test_is_so_many_batches_ahead_and_keeps_their_order(batches):
    preprocessor = Preprocessor()
    loader = DecodedAhead(range(1, 7), preprocessor, batches)
    for _ in range(2):
        preprocessor.asked.clear()
        given = []
        for batch in loader:
            given.append(batch)
            assert len(preprocessor.asked) == min(6, len(given) + batches)
        assert given == [-1, -2, -3, -4, -5, -6]
    # A loop that ends early leaves nothing to the next one.
    next(iter(loader))
    assert next(iter(loader)) == -1


def test_has_what_the_data_loader_has():
    loader = Runner.build_dataloader(
        dict(batch_size=2, num_workers=0, dataset=list('abcde'))
        | dict(sampler=dict(type='DefaultSampler', shuffle=True)),
        seed=0,
    )
    ahead = DecodedAhead(loader, Preprocessor(), 2)
    assert len(ahead) == 3
    for name in ('dataset', 'sampler', 'batch_sampler', 'batch_size'):
        assert getattr(ahead, name) is getattr(loader, name)
    with pytest.raises(AttributeError, match='no_such'):
        _ = ahead.no_such
    ahead._iterator = 7  # as SwitchRecipeHook does
    assert loader._iterator == 7
    twin = copy.copy(ahead)
    assert twin.loader is loader
    assert len(twin) == 3


def test_every_image_once_an_epoch_over_two_processes(tmp_path):
    cfg = with_dali(tmp_path / 'images')
    loader = cfg.train_dataloader
    epochs = []
    for epoch in range(2):
        paths = []
        for rank in range(2):
            with mock.patch(
                'mmengine.dataset.sampler.get_dist_info', return_value=(rank, 2)
            ):
                built = Runner.build_dataloader(loader, seed=0)
            built.sampler.set_epoch(epoch)
            plain = SimpleNamespace(prefetch=lambda batch: batch)
            for batch in DecodedAhead(built, plain, 2):
                paths += [sample.img_path for sample in batch['data_samples']]
        assert len(paths) == len(set(paths)) == 14
        epochs.append(paths)
    assert epochs[0] != epochs[1]


@pytest.mark.usefixtures('dali')
def test_runs_wherever_dali_decodes_and_nowhere_else(tmp_path):
    runner = build(with_dali(tmp_path / 'images'), tmp_path)
    assert [type(hook) for hook in runner.hooks].count(DecodeAheadHook) == 1
    runner.train()
    for loop in (runner.train_loop, runner.val_loop):
        assert isinstance(loop.dataloader, DecodedAhead)
    # A second run of the same runner does not wrap what is wrapped.
    runner.call_hook('before_run')
    assert not isinstance(runner.val_loop.dataloader.loader, DecodedAhead)
    runner = build(config(), tmp_path / 'other')
    assert DecodeAheadHook not in [type(hook) for hook in runner.hooks]


@pytest.mark.usefixtures('dali')
@pytest.mark.parametrize(
    ('options', 'kills'),
    [
        (dict(workers=2, encoded_validation=True, hooks=[EMA]), (2, 6)),
        (dict(sampler=ENDLESS, train_cfg=BY_ITER, encoded_validation=True), (4,)),
    ],
)
def test_a_killed_training_goes_on_bit_for_bit(options, kills, tmp_path):
    """With a validation in between, whose last batch is smaller, as the training's is."""
    cfg = with_dali(tmp_path / 'images', **options)
    assert_resumes(cfg, tmp_path, *kills)


def test_without_dali_no_training_begins(tmp_path, monkeypatch):
    for name in ('nvidia.dali', 'nvidia.dali.fn'):
        monkeypatch.setitem(sys.modules, name, None)
    runner = build(with_dali(tmp_path / 'images'), tmp_path / 'work')
    with pytest.raises(ImportError, match=r"pip install 'dhm_plugin\[dali\]'"):
        runner.train()
    assert runner.iter == 0
    with pytest.raises(ImportError, match='dhm_plugin'):
        DecodeAheadHook().before_run(runner)


def test_is_of_no_use_to_another_preprocessor():
    model = nn.Module()
    model.data_preprocessor = nn.Identity()
    with pytest.raises(TypeError, match='it is a Identity; leave the hook out'):
        DecodeAheadHook().before_run(SimpleNamespace(model=model))
