import pytest

import warm_start
from locks import assert_is_let_go

pytestmark = pytest.mark.one_stack

SCRIPT = """
import atexit, multiprocessing, os, subprocess, sys
import torch
from torch.utils.data import DataLoader
import beside, elsewhere

if __name__ == '__main__':
    atexit.register(print, 'at exit')
    print(sys.argv[1:], os.getcwd(), sys.path[:2], sorted(os.environ)[0])
    print('to stderr', file=sys.stderr)
    subprocess.run(['echo', 'of a child'])
    print(torch.get_num_threads(), 'threads')
    print(any(name in sys.modules for name in ('dhm_plugin', 'pytest', 'warm_start')))
    {end}
"""
LOAD = """
    for context in ('fork', 'spawn'):
        loader = DataLoader(range(4), num_workers=1, multiprocessing_context=context)
        print(context, sum(loader).item())
"""


@pytest.fixture
def start(tmp_path, tool_env):
    def run(end, timeout=100):
        folder = tmp_path / 'scripts'
        folder.mkdir()
        (folder / 'beside.py').touch()
        (tmp_path / 'elsewhere.py').touch()
        script = folder / 'script.py'
        script.write_text(SCRIPT.replace('{end}', end))
        env = {**tool_env, 'PYTHONPATH': str(tmp_path), 'AAA': '1'}
        return warm_start.run_script(
            str(script), ['-a', 'b c'], str(tmp_path), env, timeout
        )

    return run


@pytest.mark.parametrize(
    ('end', 'code', 'last'),
    [
        (LOAD, 0, 'fork 6\nspawn 6'),
        ('sys.exit(3)', 3, ''),
        ('sys.exit("no such file")', 1, 'no such file'),
        ('1 / 0', 1, 'ZeroDivisionError: division by zero'),
        ('print("end", flush=True); os.kill(os.getpid(), 9)', -9, 'end'),
    ],
)
def test_a_script_is_as_in_a_new_process(start, tmp_path, end, code, last):
    found, text = start(end)
    assert found == code, text
    paths = [str(tmp_path / 'scripts'), str(tmp_path)]
    assert f"['-a', 'b c'] {tmp_path} {paths} AAA\n" in text
    for line in ('to stderr', 'of a child', '1 threads', 'False'):
        assert f'{line}\n' in text, text
    assert (code == -9) != ('at exit\n' in text)
    assert f'{last}\n' in text


def test_what_hangs_is_killed_with_its_children(start, tmp_path):
    end = """
    import fcntl, time
    file = open('lock', 'w')
    fcntl.flock(file, fcntl.LOCK_EX)  # held until the last of the two is dead
    print('fork', os.fork(), flush=True)
    time.sleep(300)
"""
    with pytest.raises(TimeoutError, match=r'script\.py ran longer than 8 s') as error:
        start(end, timeout=8)
    assert str(error.value).count('fork ') == 2
    assert_is_let_go(tmp_path / 'lock')
