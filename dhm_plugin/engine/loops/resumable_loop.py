"""Which loop a training gets, and the seed that it goes on with."""

from mmengine.runner import BaseLoop, EpochBasedTrainLoop, IterBasedTrainLoop, Runner
from mmpretrain.registry import LOOPS

from ...checkpoints.latest import latest_whole
from ...checkpoints.meta import read_meta
from .resumable_epoch_loop import ResumableEpochLoop
from .resumable_iter_loop import ResumableIterLoop

_OURS = {
    EpochBasedTrainLoop: ResumableEpochLoop,
    IterBasedTrainLoop: ResumableIterLoop,
}


def resumable_loop(runner: Runner, loop: BaseLoop | dict) -> BaseLoop | dict:
    """Take a loop that goes on where a training was killed, in place of MMEngine's.

    If the training goes on and its config gives no seed, the checkpoint's is taken: it
    must be known before sampler and data loader are made.

    Args:
        runner (Runner): Its loop is about to be built.
        loop (BaseLoop | dict): The loop, or its config.

    Returns:
        BaseLoop | dict: The same of a :class:`ResumableEpochLoop` or
        :class:`ResumableIterLoop`, if it was one of MMEngine's loops.
    """
    if not isinstance(loop, dict):
        return loop
    _take_seed(runner)
    if ('type' in loop) == ('by_epoch' in loop):  # MMEngine says what is wrong
        return loop
    if 'type' in loop:
        kind = loop['type']
        kind = LOOPS.get(kind) if isinstance(kind, str) else kind
    else:
        kind = EpochBasedTrainLoop if loop['by_epoch'] else IterBasedTrainLoop
    if kind not in _OURS:
        return loop
    rest = {key: value for key, value in loop.items() if key not in ('type', 'by_epoch')}
    return dict(rest, type=_OURS[kind])


def _take_seed(runner: Runner) -> None:
    """Go on with the seed that the training drew when it began."""
    randomness = runner._randomness_cfg
    if not runner._resume or randomness.get('seed') is not None:
        return
    if runner._load_from is None:  # what the runner would find when the loop is built
        runner._load_from = latest_whole(runner.work_dir)
    path = runner._load_from
    seed = None if path is None else read_meta(path).get('seed')
    if isinstance(seed, int):
        runner.set_randomness(**{**randomness, 'seed': seed})
        runner.logger.info(f'The training goes on with the seed that it drew, {seed}')
