"""Side branches that nobody has described: the rest of the network from a fork on.

=================== ==================================================================
calls, meta         what a backbone runs, in order, and with what shapes
forks, blocks       where a branch forks if nobody says it, and which blocks it leaves out
replay              what stands in a branch for the modules before the fork
rest_of_network     a branch
side_branches       all of them
=================== ==================================================================
"""

from .meta import run_on_meta, trace
from .replay import Tape
from .side_branches import SideBranches

__all__ = [
    'SideBranches',
    'Tape',
    'run_on_meta',
    'trace',
]
