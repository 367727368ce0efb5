"""The one place that changes other packages: each function is one change, and why.

But for what a registry takes in the place of another, as ``LoadImageFromFile``.
"""

import functools
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlparse

import torch
from mmengine.hooks import Hook
from mmengine.infer import infer
from mmengine.runner import Runner
from mmengine.runner import checkpoint as mmengine_checkpoint
from mmengine.runner import runner as mmengine_runner
from mmpretrain.apis.model import ModelHub
from modelindex.models.Model import Model
from torch.utils.data import DataLoader, Sampler

from .archive import verify_archive
from .safe_unpickling import safe_globals

# PyTorch's own, for and against weights_only.
_SWITCHES = 'TORCH_FORCE_WEIGHTS_ONLY_LOAD', 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'
_LOADING = threading.RLock()


def load_checkpoints_safely() -> None:
    """Let MMEngine load its own checkpoints, and nothing that would run code.

    - mmengine 0.10.7 calls ``torch.load`` as it is. From torch 2.6 on that refuses the
      log histories in MMEngine's own checkpoints, so that it can neither resume nor
      test. The few types that they are made of are declared safe, with stand-ins for
      NumPy's.
    - onedl-mmengine 0.10.12 loads with ``weights_only=False`` whatever
      ``weights_only=True`` refuses, mmengine's main branch whatever there is, and so run
      the code of a hostile file. While one of their loaders runs, PyTorch's own switch
      forces ``weights_only=True``.
    - Neither looks at the checksums in a file, here or downloaded.
    - Both run config texts of a checkpoint as Python: ``Runner.resume`` that of
      ``meta['config']``, for a key that no config has today, and the inferencer that of
      ``cfg``. They do not get them: a config's values alone, such as a ``type``, make
      MMEngine import and call what they name.
    """
    torch.serialization.add_safe_globals(safe_globals())
    if hasattr(mmengine_checkpoint, '_safe_torch_load'):
        # It takes the types that it shares with ours from PyTorch's list when it is done.
        mmengine_checkpoint._safe_torch_load = functools.partial(
            torch.load, weights_only=True
        )
    loader = mmengine_checkpoint.CheckpointLoader
    load = loader.load_checkpoint.__func__

    @functools.wraps(load)
    def load_safely(cls: type, filename: str, *args: Any, **kwargs: Any) -> Any:
        path = os.path.expanduser(filename)
        if os.path.isfile(path):
            verify_archive(path)
        with _weights_only():
            checkpoint = load(cls, filename, *args, **kwargs)
        _drop_texts(checkpoint, 'config')
        return checkpoint

    loader.load_checkpoint = classmethod(load_safely)
    download = mmengine_checkpoint.load_url

    @functools.wraps(download)
    def load_url_safely(
        url: str, model_dir: str | None = None, *args: Any, **kwargs: Any
    ) -> Any:
        checkpoint = download(url, model_dir, *args, **kwargs)
        folder = model_dir or os.path.join(torch.hub.get_dir(), 'checkpoints')
        # Where PyTorch keeps it.
        path = os.path.join(folder, os.path.basename(urlparse(url).path))
        if os.path.isfile(path):
            verify_archive(path)
        return checkpoint

    mmengine_checkpoint.load_url = load_url_safely

    # A resumed training keeps the text in the message hub; it does not run that.
    load_for_inferencer = infer._load_checkpoint

    @functools.wraps(load_for_inferencer)
    def load_without_config(*args: Any, **kwargs: Any) -> Any:
        checkpoint = load_for_inferencer(*args, **kwargs)
        _drop_texts(checkpoint, 'cfg')
        return checkpoint

    infer._load_checkpoint = load_without_config


def add_to_model_hub(models: Callable[[], Iterable[Model]]) -> None:
    """Let MMPretrain's model hub have further models, after its own.

    MMPretrain 1.2.0 and onedl-mmpretrain 1.3.6 read their own index, which takes half a
    second, when somebody first asks the hub for a model. Their ``register_model_index``
    is no way in: called before, it takes names that are theirs, and they then refuse
    their own index; it would also refuse ours for one name that is taken. So ours are
    read when theirs have been.

    Args:
        models (Callable): Gives the models, with absolute paths of their configs. Those
            whose name is taken stay out.
    """
    register_theirs = ModelHub._register_mmpretrain_models

    @functools.cache
    def register_ours() -> None:
        for model in models():
            ModelHub._models_dict.setdefault(model.name.lower(), model)

    @functools.wraps(register_theirs)
    def register_all(cls: type[ModelHub]) -> None:
        register_theirs()
        register_ours()

    ModelHub._register_mmpretrain_models = classmethod(register_all)


def resume_from(latest: Callable[[str], str | None]) -> None:
    """Let MMEngine resume from another checkpoint than the last one.

    ``Runner.load_or_resume`` takes what the file ``last_checkpoint`` says; it ends in an
    error if that is empty, or names a file that is missing or damaged.

    Args:
        latest (Callable): Gives the checkpoint in a work folder; None if there is none.
    """
    mmengine_runner.find_latest_checkpoint = latest


def add_hooks(
    missing: Callable[[Runner], Iterable[Hook]],
    instead: Mapping[type[Hook], type[Hook]],
) -> None:
    """Let MMEngine's runner have further hooks, after those of its config.

    MMEngine has no default hooks that a package may add to, and ``custom_hooks`` of a
    config replace those of its base: what must run in any training would be lost without
    a word.

    Args:
        missing (Callable): Gives the hooks that a runner still needs, when its network
            is built and the hooks of its config are registered.
        instead (Mapping): A class of hooks to the subclass, with the same arguments, that
            its hooks become, however a config names them.
    """
    register_theirs = Runner.register_hooks

    @functools.wraps(register_theirs)
    def register_all(
        self: Runner,
        default_hooks: dict | None = None,
        custom_hooks: list | None = None,
    ) -> None:
        register_theirs(self, default_hooks, custom_hooks)
        for hook in self.hooks:
            hook.__class__ = instead.get(type(hook), type(hook))
        self.register_custom_hooks(list(missing(self)))

    Runner.register_hooks = register_all


def replace_train_loops(replace: Callable[[Runner, Any], Any]) -> None:
    """Let MMEngine's runner build another train loop than its config says.

    ``by_epoch`` in a config stands for a class of MMEngine's, whatever is registered.

    Args:
        replace (Callable): Gives the loop or its config to be taken in place of the one
            of a runner, which is about to be built.
    """
    build_theirs = Runner.build_train_loop

    @functools.wraps(build_theirs)
    def build(self: Runner, loop: Any) -> Any:
        return build_theirs(self, replace(self, loop))

    Runner.build_train_loop = build


def replace_batch_sampler(loader: DataLoader, batches: Sampler) -> None:
    """Let a data loader that nobody has gone through yet have another batch sampler.

    Given to MMEngine in a config, it would leave ``batch_size`` and ``sampler`` of the
    data loader empty, which hooks of MMPretrain's read. PyTorch refuses to set it later.

    Args:
        loader (DataLoader): The data loader.
        batches (Sampler): Gives the indices of each batch.
    """
    vars(loader)['batch_sampler'] = batches


@contextmanager
def _weights_only() -> Iterator[None]:
    """Let PyTorch load weights alone, whatever it is asked for."""
    # Else a thread that ends first would lift it from another, or leave it for ever.
    with _LOADING:
        before = {key: os.environ.pop(key, None) for key in _SWITCHES}
        os.environ[_SWITCHES[0]] = '1'
        try:
            yield
        finally:
            for key, value in before.items():
                os.environ.pop(key, None)
                if value is not None:
                    os.environ[key] = value


def _drop_texts(checkpoint: Any, key: str) -> None:
    """Take a config's text out of a checkpoint, wherever MMEngine keeps it."""
    if not isinstance(checkpoint, dict):
        return
    meta, hub = checkpoint.get('meta'), checkpoint.get('message_hub')
    info = hub.get('runtime_info') if isinstance(hub, dict) else None
    for holder in (meta, info):
        if isinstance(holder, dict):
            holder.pop(key, None)
