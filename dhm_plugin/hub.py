"""The models of the zoo by name, for MMPretrain's ``list_models`` and ``get_model``."""

import functools
from pathlib import Path

from mmpretrain.apis.model import ModelHub
from modelindex.load_model_index import load

PACKAGE = Path(__file__).parent


def find_root() -> Path:
    """Find the folder that holds ``configs``, ``tools`` and ``model-index.yml``.

    A wheel carries them in ``dhm_plugin/.mim``, as MIM expects. In a checkout they are
    beside the package.

    Returns:
        Path: ``.mim`` in the package if it is there, else the checkout.
    """
    carried = PACKAGE / '.mim'
    return carried if carried.is_dir() else PACKAGE.parent


def add_to_model_hub() -> None:
    """Let MMPretrain's model hub read our model index after its own.

    Nothing is read before somebody asks the hub for a model: reading its own index takes
    MMPretrain half a second. A second call does nothing.
    """
    register_mmpretrain = ModelHub._register_mmpretrain_models
    if hasattr(register_mmpretrain, 'register_ours'):
        return

    @functools.wraps(register_mmpretrain)
    def register_all(cls: type[ModelHub]) -> None:
        register_mmpretrain()
        register_all.register_ours()

    register_all.register_ours = functools.cache(_register)
    ModelHub._register_mmpretrain_models = classmethod(register_all)


def _register() -> None:
    """Register the models of our index.

    ``ModelHub.register_model_index`` refuses a whole index for one name that is taken.
    Those of the plain ImageNet networks are: they stay MMPretrain's, weights and all.
    """
    root = find_root()
    index = root / 'model-index.yml'
    if not index.is_file():
        return
    for model in load(str(index)).models:
        model.config = str(root / model.config)
        ModelHub._models_dict.setdefault(model.name.lower(), model)
