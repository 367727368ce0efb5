"""The hooks that run in any training, named in its config or not."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from ...models import DHMClassifier
from ..utils import network_of
from .checkpoint_check_hook import CheckpointCheckHook
from .label_check_hook import LabelCheckHook
from .resume_hook import ResumeHook

# Without them something wrong would train or be tested unseen.
_ALWAYS = (LabelCheckHook, CheckpointCheckHook)


def missing_hooks(runner: Runner) -> list[Hook]:
    """Give the hooks that must run and are not in the config.

    Args:
        runner (Runner): With its network, and the hooks of its config.

    Returns:
        list[Hook]: :class:`ResumeHook`, and of a :class:`DHMClassifier`
        :class:`LabelCheckHook` and :class:`CheckpointCheckHook`, unless they are there.
    """
    needed = [ResumeHook]
    if isinstance(network_of(runner), DHMClassifier):
        needed += _ALWAYS
    there = {type(hook) for hook in runner.hooks}
    return [kind() for kind in needed if kind not in there]
