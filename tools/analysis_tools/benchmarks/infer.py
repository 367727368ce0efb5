"""The network without its side branches, against the plain one."""

from pathlib import Path

import torch

from dhm_plugin.checkpoints.export.image_shape import image_shape

from .methods import build, configs_of
from .timing import in_turns


def measure(path: str | Path, batch_size: int | None, repeats: int = 15) -> list[dict]:
    """Time the prediction of the stripped DHM network and of the plain one.

    Args:
        path (str | Path): The DHM config.
        batch_size (int, optional): Images a batch. None means the config's.
        repeats (int): How often each is timed. Defaults to 15.

    Returns:
        list[dict]: Rows of a table.

    Raises:
        ValueError: If the path is no DHM config with a plain and a DSL twin.
    """
    configs = configs_of(path)
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    batch_size = batch_size or configs['dhm'].val_dataloader.batch_size
    images = torch.randn(batch_size, *image_shape(configs['dhm']), device=device)
    networks = {
        name: build(configs[method].model).to(device).eval()
        for name, method in (('plain', 'plain'), ('DHM, stripped', 'dhm'))
    }
    networks['DHM, stripped'].switch_to_deploy()

    def predict(network):
        def run() -> None:
            with torch.no_grad():
                network(images, mode='tensor')

        return run

    times = in_turns(
        {name: predict(network) for name, network in networks.items()},
        repeats,
        what='prediction',
    )
    return [
        {
            'network': name,
            'time': times[name],
            'images/s': batch_size / times[name].median,
            'this / plain': times[name].over(times['plain']),
        }
        for name in networks
    ]
