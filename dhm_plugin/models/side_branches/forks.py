"""Where side branches fork, if nobody says it."""

from collections.abc import Sequence

from torch.nn.modules.batchnorm import _BatchNorm

from .blocks import same_blocks
from .calls import Call

# Fewer positions by this much are another resolution; a class token more is not.
_COARSER = 1.5
# A network with so many of its layers at the last resolution has no stages.
_WITHOUT_STAGES = 0.8


def default_forks(calls: Sequence[Call]) -> list[str]:
    """Choose the forks as the paper does: where the last two resolutions before end.

    A network without stages, as a ViT, is forked after a half and three quarters of its
    blocks.

    Args:
        calls (Sequence[Call]): Of the backbone's modules.

    Returns:
        list[str]: Names of the modules after which a side branch forks, shallowest
        first: two, or as many as there are.
    """
    ends: list[tuple[int, str | None]] = []  # positions, last module that can be forked
    for call in _blocks(calls):
        if call.positions <= 1:
            continue
        if not ends or call.positions * _COARSER < ends[-1][0]:
            ends.append((call.positions, None))
        if not why_not(call, calls) and call.positions <= ends[-1][0] * _COARSER:
            ends[-1] = ends[-1][0], call.name
    forks = [name for _, name in ends[:-1] if name is not None][-2:]
    layers = [call.positions for call in calls if call.is_layer and call.positions > 1]
    last = sum(positions < ends[-1][0] * _COARSER for positions in layers) if ends else 0
    run = max(same_blocks(calls), key=len, default=[])
    if len(run) < 4 or (len(forks) == 2 and last < _WITHOUT_STAGES * len(layers)):
        return forks
    middle = [run[len(run) // 2 - 1], run[len(run) * 3 // 4 - 1]]
    by_name = {call.name: call for call in calls}
    return [name for name in middle if not why_not(by_name[name], calls)]


def why_not(call: Call, calls: Sequence[Call]) -> str:
    """Say why no side branch can fork after a call.

    Args:
        call (Call): The call.
        calls (Sequence[Call]): All calls of the backbone.

    Returns:
        str: The reason. Empty if it can: the module has weights, runs once, and nobody
        writes into what it gave.
    """
    if sum(other.name == call.name for other in calls) > 1:
        return 'it runs more than once'
    if not call.has_weights or not call.outputs:
        return 'it has no weights, or gives no tensor'
    if call.changed:
        return 'a later module writes into what it gives (in place)'
    if issubclass(call.kind[0], _BatchNorm):
        return 'a conversion to SyncBN would replace this norm layer, and lose the fork'
    return ''


def _blocks(calls: Sequence[Call]) -> list[Call]:
    """Give the calls of the network itself; of what holds most of it, those within."""
    own = [i for i, call in enumerate(calls) if call.depth == 0]
    # A backbone may only wrap a network, as timm's.
    wraps = sum(calls[i].has_weights for i in own) == 1
    return [call for i in own for call in _within(i, calls, wraps)]


def _within(index: int, calls: Sequence[Call], wraps: bool = False) -> list[Call]:
    call = calls[index]
    inner = []
    for i in reversed(range(index)):
        if calls[i].depth <= call.depth:
            break
        if calls[i].depth == call.depth + 1:
            inner.append(i)
    resolutions = {calls[i].positions for i in inner if calls[i].has_weights} - {1}
    if len(resolutions) < 3 and not wraps:
        return [call]
    return [block for i in reversed(inner) for block in _within(i, calls)]
