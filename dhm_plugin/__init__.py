"""Dynamic Hierarchical Mimicking (Li & Chen, CVPR 2020) for MMPretrain.

Importing the package registers its components in MMPretrain's registries, and its
configs in MMPretrain's model hub. A config does that by itself::

    custom_imports = dict(imports=['dhm_plugin'])

``DHMClassifier`` over a plain config derives the side branches: see
``dhm_plugin.models.side_branches``. Where they are described, the way of one batch is:

==================== ============================================================
backbone             images -> feature maps of the stages, shallow to deep
SideBranchNeck       feature maps -> pooled features of each branch, main last
MultiBranchClsHead   pooled features -> logits and classification loss of each
MimickingLoss        logits of all branches -> mimicking loss of each
==================== ============================================================

In evaluation the main branch alone runs, unless another one is asked for.
"""

from .compat import (
    add_hooks,
    add_to_model_hub,
    load_checkpoints_safely,
    replace_train_loops,
    resume_from,
)

load_checkpoints_safely()

from .checkpoints.latest import latest_whole  # noqa: E402
from .datasets import *  # noqa: E402, F403
from .engine import *  # noqa: E402, F403
from .engine.hooks.missing_hooks import STOCK_TO_OURS, missing_hooks  # noqa: E402
from .engine.loops.resumable_loop import resumable_loop  # noqa: E402
from .evaluation import *  # noqa: E402, F403
from .hub import zoo_models  # noqa: E402
from .models import *  # noqa: E402, F403
from .version import __version__  # noqa: E402, F401

add_to_model_hub(zoo_models)
add_hooks(missing_hooks, STOCK_TO_OURS)
resume_from(latest_whole)
replace_train_loops(resumable_loop)
