"""The hooks that run in any training of side branches, named in its config or not."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from ...models import DHMClassifier
from ..utils import network_of
from .checkpoint_check_hook import CheckpointCheckHook
from .label_check_hook import LabelCheckHook

# Without them something wrong would train or be tested unseen.
_ALWAYS = (LabelCheckHook, CheckpointCheckHook)


def missing_hooks(runner: Runner) -> list[Hook]:
    """Give the hooks that must run and are not in the config.

    Args:
        runner (Runner): With its network, and the hooks of its config.

    Returns:
        list[Hook]: :class:`LabelCheckHook` and :class:`CheckpointCheckHook`, unless they
        are there; none if the network is no :class:`DHMClassifier`.
    """
    if not isinstance(network_of(runner), DHMClassifier):
        return []
    there = {type(hook) for hook in runner.hooks}
    return [kind() for kind in _ALWAYS if kind not in there]
