"""The repeated blocks of a network, of which a side branch has fewer."""

from collections.abc import Sequence

from .calls import Call, is_inside


def same_blocks(calls: Sequence[Call]) -> list[list[str]]:
    """Group the blocks that are alike and lie side by side.

    A block has a number for a name and several layers, and keeps the shapes of what it
    gets.

    Args:
        calls (Sequence[Call]): All calls of a network.

    Returns:
        list[list[str]]: Names of the blocks of each group, in their order; blocks within
        other blocks are left out. A group of one follows a block that is like it, but
        changes the shape, as the first block of a ResNet's stage does.
    """
    groups: dict[tuple, list[str]] = {}
    for call in calls:
        parent, number = _split(call.name)
        if number is not None and call.layers > 1 and call.keeps_shape:
            groups.setdefault((parent, call.kind, call.inputs), []).append(call.name)
    found: list[list[str]] = []
    # Single ones last: a stage may look like a block.
    for group in sorted(groups.values(), key=lambda g: (len(g) == 1, g[0].count('.'))):
        parents = [_split(names[0])[0].rpartition('.')[0] for names in found]
        within = any(_deeper(group[0], parent) for parent in parents)
        holds = any(is_inside(names[0], group[0]) for names in found)
        if not within and not holds and (len(group) > 1 or is_led(group[0], calls)):
            found.append(group)
    return found


def is_led(name: str, calls: Sequence[Call]) -> bool:
    """Say whether the block before one is like it, but changes the shape.

    Args:
        name (str): Of the block.
        calls (Sequence[Call]): All calls of the network.

    Returns:
        bool: Whether it is so.
    """
    parent, number = _split(name)
    (kind,) = {call.kind[0] for call in calls if call.name == name}
    return any(
        _split(call.name) == (parent, number - 1)
        and call.kind[0] is kind
        and not call.keeps_shape
        for call in calls
    )


def blocks_left_out(calls: Sequence[Call], fork: str) -> list[str]:
    """Choose the blocks that a side branch does without: half of those that are alike.

    As in the paper's table, a stage keeps half of its blocks, rounded up: behind
    ResNet-50's first fork 3 of 6 and 2 of 3.

    Args:
        calls (Sequence[Call]): All calls of the backbone.
        fork (str): The module after which it forks.

    Returns:
        list[str]: Names of the blocks.
    """
    end = max(i for i, call in enumerate(calls) if call.name == fork)
    later = {call.name for call in calls[end + 1 :]}
    left_out = []
    for group in same_blocks(calls):
        group = [name for name in group if name in later]
        if group:
            stage = len(group) + is_led(group[0], calls)
            left_out += group[len(group) - stage // 2 :]
    return left_out


def _split(name: str) -> tuple[str, int | None]:
    """Give what the names of a list's modules begin with, and the number."""
    parent, _, last = name.rpartition('.')
    word = last.rstrip('0123456789')
    number = last[len(word) :]
    return f'{parent}.{word}', int(number) if number and word in ('', 'layer') else None


def _deeper(name: str, parent: str) -> bool:
    """Say whether a module lies within a module of a list."""
    if parent and not is_inside(name, parent):
        return False
    return name.count('.') > (parent.count('.') + 1 if parent else 0)
