"""Functions that run in two processes of one group."""

import torch

import warm_start


def run_in_two(function, folder, *args):
    """Run a function in two processes; both must end well.

    Args:
        function (Callable): Of a module; it gets the process's rank, the folder and what
            follows.
        folder (Path): In which the processes find each other.
        *args: What follows.
    """
    both = [warm_start.start(_run, function, rank, folder, *args) for rank in range(2)]
    for process in both:
        process.join(100)
    assert [process.exitcode for process in both] == [0, 0]


def _run(function, rank, folder, *args):
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/group', rank=rank, world_size=2
    )
    function(rank, folder, *args)
    torch.distributed.destroy_process_group()
