"""What a training runs beside the network: hooks, loops and optimizer wrappers."""

from .hooks import *  # noqa: F403
from .loops import *  # noqa: F403
from .optim import *  # noqa: F403
