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
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(PRELOADED)
    with tempfile.NamedTemporaryFile('r') as log:
        process = context.Process(
            target=_run, args=(script, arguments, cwd, env, log.name)
        )
        with mock.patch.dict(os.environ, env, clear=True):  # it starts the server
            process.start()
        process.join(timeout)
        code = process.exitcode
        if code is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.join()
        text = log.read()
    if code is None:
        raise TimeoutError(f'{script} ran longer than {timeout} s: {text[-4000:]}')
    return code, text


def _run(script, arguments, cwd, env, output):
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
