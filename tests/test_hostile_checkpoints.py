"""No text and no pickle of a checkpoint is run, whatever reads it."""

import functools
import pickle
import types

import pytest
import torch
from mmengine import Config
from mmengine.infer import BaseInferencer
from mmengine.runner import Runner, load_checkpoint
from mmengine.runner import checkpoint as mmengine_checkpoint
from mmpretrain import get_model

from dhm_plugin.checkpoints import CheckpointError, read_state_dict
from paths import ROOT

PLAIN = ROOT / 'configs/plain/resnet20_1xb64_digits.py'
TEXTS = {
    'code': "x = __import__('pathlib').Path({flag!r}).touch()\n",
    'a file': '_base_ = {script!r}\nx = 1\n',
    'a type': "model = dict(type='os.system', command='touch {flag}')\n",
    'a variable': 'x = \'{{{{$NOPE:open("{flag}","w")#|(?s:.+)|Q}}}}\'\n',
    'an import': "custom_imports = dict(imports=['evil'])\nx = 1\n",
}


class Touch:
    """Unpickling it writes a file."""

    def __init__(self, flag):
        self.flag = flag

    def __reduce__(self):
        return open, (self.flag, 'w')


@pytest.fixture
def flag(tmp_path, monkeypatch):
    """The file that hostile code would write."""
    path = tmp_path / 'flag'
    script = f'import pathlib\npathlib.Path({str(path)!r}).touch()\n'
    (tmp_path / 'evil.py').write_text(script)
    monkeypatch.syspath_prepend(tmp_path)
    yield path
    assert not path.exists()


def cfg_of(tmp_path):
    cfg = Config.fromfile(PLAIN)
    cfg.merge_from_dict(
        {
            'work_dir': str(tmp_path / 'work'),
            'experiment_name': tmp_path.name,
            'train_cfg.max_epochs': 1,
            'train_dataloader.batch_size': 240,
            'train_dataloader.dataset.dataset.indices': 240,
            'log_level': 'WARNING',
        }
    )
    return cfg


@pytest.fixture
def trained(tmp_path):
    """A checkpoint of a short training; what it says of itself, changed."""
    Runner.from_cfg(cfg_of(tmp_path)).train()
    path = tmp_path / 'work' / 'epoch_1.pth'
    content = torch.load(path, weights_only=True)

    def changed(meta, info=()):
        content['meta'].update(meta)
        content['message_hub']['runtime_info'].update(info)
        torch.save(content, path)
        return path

    return changed


@pytest.mark.parametrize('text', TEXTS)
def test_resuming_runs_no_config(text, flag, trained, tmp_path):
    text = TEXTS[text].format(flag=str(flag), script=str(tmp_path / 'evil.py'))
    path = trained(dict(config=text, cfg=text), dict(cfg=text))
    cfg = cfg_of(tmp_path)
    cfg.merge_from_dict({'resume': True, 'load_from': str(path)})
    cfg.train_cfg.max_epochs = 2
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert runner.epoch == 2


@pytest.mark.parametrize('text', TEXTS)
@pytest.mark.parametrize('place', ['meta', 'message_hub'])
def test_the_inferencer_runs_no_config(place, text, flag, tmp_path):
    text = TEXTS[text].format(flag=str(flag), script=str(tmp_path / 'evil.py'))
    content = dict(state_dict={}, meta=dict(cfg=text))
    if place == 'message_hub':
        content['message_hub'] = dict(runtime_info=dict(cfg=text))
    torch.save(content, tmp_path / 'hostile.pth')
    with pytest.raises(ValueError, match='Cannot find the config'):
        BaseInferencer._init_model(
            types.SimpleNamespace(), Config(), str(tmp_path / 'hostile.pth')
        )


def load(path):
    load_checkpoint(torch.nn.Linear(2, 1), str(path))


def pretrained(path):
    get_model(str(PLAIN), pretrained=str(path))


@pytest.fixture(params=['zip', 'the older format', 'a bare pickle'])
def hostile(request, flag, tmp_path):
    """A file whose pickle would write the file, in a container of PyTorch's."""
    path = tmp_path / 'hostile.pth'
    content = dict(state_dict=dict(weight=Touch(str(flag))))
    if request.param == 'a bare pickle':
        path.write_bytes(pickle.dumps(content))
    else:
        new = request.param == 'zip'
        torch.save(content, path, _use_new_zipfile_serialization=new)
    return path


@pytest.mark.parametrize('reader', [load, pretrained, read_state_dict])
def test_a_pickle_is_refused(reader, hostile):
    with pytest.raises((pickle.UnpicklingError, CheckpointError)):
        reader(hostile)


@pytest.mark.parametrize('reader', [load, pretrained, read_state_dict])
def test_torchscript_is_refused(reader, flag, tmp_path):
    path = tmp_path / 'script.pth'
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 1)), path)
    with pytest.raises((RuntimeError, pickle.UnpicklingError, CheckpointError)):
        reader(path)


def test_a_loader_that_asks_for_unsafe_loading(hostile, monkeypatch):
    """MMEngine's main branch does."""
    unsafe = functools.partial(torch.load, weights_only=False)
    schemes = mmengine_checkpoint.CheckpointLoader._schemes

    def load_from_local(filename, map_location):
        return unsafe(filename, map_location=map_location)

    monkeypatch.setitem(schemes, '', load_from_local)
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
    with pytest.raises(pickle.UnpicklingError):
        load(hostile)
