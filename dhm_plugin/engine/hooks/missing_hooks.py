"""The hooks that run in any training of side branches, named in its config or not."""

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.models import ImageClassifier
from torch import nn

from ...models import DHMClassifier
from ..utils import network_of
from .checkpoint_check_hook import CheckpointCheckHook
from .end_with_launcher_hook import EndWithLauncherHook
from .finite_check_hook import FiniteCheckHook
from .label_check_hook import LabelCheckHook

# Without them something wrong would train or be tested unseen. By the network that needs
# them.
_ALWAYS = {
    nn.Module: (EndWithLauncherHook,),
    ImageClassifier: (FiniteCheckHook,),
    DHMClassifier: (LabelCheckHook, CheckpointCheckHook),
}


def missing_hooks(runner: Runner) -> list[Hook]:
    """Give the hooks that must run and are not in the config.

    Args:
        runner (Runner): With its network, and the hooks of its config.

    Returns:
        list[Hook]: Of any network :class:`EndWithLauncherHook`, of an image classifier
        :class:`FiniteCheckHook`, and of a :class:`DHMClassifier`
        :class:`LabelCheckHook` and :class:`CheckpointCheckHook`, unless they are there.
    """
    network = network_of(runner)
    there = {type(hook) for hook in runner.hooks}
    needed = [
        kind
        for of_network, kinds in _ALWAYS.items()
        if isinstance(network, of_network)
        for kind in kinds
    ]
    return [kind() for kind in needed if kind not in there]
