"""Start Python scripts as forks of a server that has imported the packages of others.

The imports are most of a short script's time. What is ours is imported by each script.
"""

import atexit
import gc
import multiprocessing
import os
import runpy
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from unittest import mock

import numpy as np

from paths import ROOT

# ImportErrors are passed over: not every stack has all of them.
PRELOADED = [
    'torch',
    'torch.utils.tensorboard',
    'torchvision',
    'matplotlib.pyplot',
    'mmengine.runner',
    'mmpretrain.apis',
    'mmpretrain.datasets',
    'mmpretrain.engine',
    'mmpretrain.evaluation',
    'mmpretrain.models',
    'mmpretrain.visualization',
    'sklearn.datasets',
    'yapf.yapflib.yapf_api',
]


def run_script(script, arguments, cwd, env, timeout):
    """Run a script as the main module of a process of its own.

    Args:
        script (str): Its path.
        arguments (list[str]): What follows it on the command line.
        cwd (str): The folder in which it runs.
        env (dict[str, str]): Its whole environment. What packages read when they are
            imported, as ``OMP_NUM_THREADS``, is that of the first call.
        timeout (float): Seconds until it is killed, with its children.

    Returns:
        tuple[int, str]: Its exit code, and what it and its children printed.

    Raises:
        TimeoutError: If it does not end in time.
    """
    ((code, text),) = run_scripts(script, arguments, cwd, [env], timeout)
    return code, text


def run_scripts(script, arguments, cwd, envs, timeout):
    """Run a script in several processes at once, each with an environment of its own.

    Args:
        script (str): As in :func:`run_script`, as all that follows.
        arguments (list[str]): See there.
        cwd (str): See there.
        envs (list[dict[str, str]]): An environment for each process.
        timeout (float): See there.

    Returns:
        list[tuple[int, str]]: The exit code and the output of each.

    Raises:
        TimeoutError: If one of them does not end in time.
    """
    with ExitStack() as stack:
        logs = [stack.enter_context(tempfile.NamedTemporaryFile('r')) for _ in envs]
        processes = [
            start(run_here, script, arguments, cwd, env, log.name, env=env)
            for env, log in zip(envs, logs)
        ]
        end = time.monotonic() + timeout
        for process in processes:
            process.join(max(0, end - time.monotonic()))
        codes = [process.exitcode for process in processes]
        for process in processes:
            if process.exitcode is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.join()
        texts = [log.read() for log in logs]
    for code, text in zip(codes, texts):
        if code is None:
            raise TimeoutError(f'{script} ran longer than {timeout} s: {text[-4000:]}')
    return list(zip(codes, texts))


def start(target, *args, env=None):
    """Start a function in a fork of the server.

    Args:
        target (Callable): A function of a module.
        *args: What it is called with.
        env (dict[str, str], optional): The environment of the server, if it is to be
            started. Default: this process's.

    Returns:
        multiprocessing.Process: It has begun.
    """
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(PRELOADED)
    process = context.Process(target=target, args=args)
    with mock.patch.dict(os.environ, env or {}, clear=env is not None):
        process.start()
    return process


def run_here(script, arguments, cwd, env, output):
    """Become a process that runs a script, as the leader of a group of its own.

    Args:
        script (str): Its path.
        arguments (list[str]): What follows it on the command line.
        cwd (str): The folder in which it runs.
        env (dict[str, str]): Its whole environment.
        output (str): The file that gets what it and its children print.
    """
    os.setsid()
    log = os.open(output, os.O_WRONLY | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    assert 'dhm_plugin' not in sys.modules
    np.random.seed()  # or all scripts would draw the same numbers
    gc.freeze()  # MMEngine's data sets collect garbage, also among what is imported
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.argv[:] = [script, *arguments]
    # Without the folders that pytest adds.
    installed = [
        path
        for path in sys.path
        if path.startswith(sys.prefix) or not path.startswith(str(ROOT))
    ]
    folders = env.get('PYTHONPATH', '').split(os.pathsep)
    sys.path[:] = [os.path.dirname(script), *filter(None, folders), *installed]
    for module in ('paths', __name__):
        del sys.modules[module]
    try:
        runpy.run_path(script, run_name='__main__')
    finally:
        atexit._run_exitfuncs()
