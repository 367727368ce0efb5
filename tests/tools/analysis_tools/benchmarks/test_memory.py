import fcntl
import itertools
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks import memory
from locks import assert_is_let_go

pytestmark = pytest.mark.one_stack

kept = []


def mebibytes(number):
    """So much memory, each page of it its own."""
    return bytearray(os.urandom(1)) * (number << 20)


def hold(number):
    taken = mebibytes(number)
    time.sleep(4 * memory.INTERVAL)
    del taken


def growing():
    return lambda: kept.append(mebibytes(8))


def in_another_process():
    def run():
        process = multiprocessing.get_context('fork').Process(target=hold, args=(64,))
        process.start()
        process.join()

    return run


def fragmenting():
    """Free blocks, each larger than all before, below one that is kept."""
    sizes = itertools.count(8)
    mebibytes(30)  # glibc's heap takes blocks up to this size from now on

    def run():
        block = mebibytes(next(sizes))
        kept.append(bytearray(100_000))
        del block

    return run


def holding_a_lock():
    file = open(os.environ['LOCK'], 'w')  # noqa: SIM115
    fcntl.flock(file, fcntl.LOCK_EX)
    print('locked', flush=True)
    time.sleep(300)


def ending():
    os._exit(1)


def one_after_the_other():
    runs = [in_another_process()] * 3 + [fragmenting()] * 11 + [growing()] * 11
    return lambda: runs.pop(0)()


@pytest.fixture(scope='module')
def peaks():
    """Of one process, for it takes long to begin."""
    return memory.measure(one_after_the_other, repeats=25).peaks


def test_sees_the_peak(peaks):
    taken = memory.Memory(peaks[:3])
    assert taken.peak == pytest.approx(64, abs=8)
    assert taken.growth == pytest.approx(0, abs=2)


def test_does_not_count_what_is_free(peaks):
    assert memory.Memory(peaks[3:14]).growth == pytest.approx(0, abs=2)


def test_sees_growth(peaks):
    taken = memory.Memory(peaks[14:])
    assert taken.peak == pytest.approx(11 * 8, abs=8)
    assert taken.growth == pytest.approx(5 * 8, abs=2)


@pytest.mark.skipif(sys.platform != 'linux', reason='Linux ends it')
def test_it_ends_with_the_benchmark(tmp_path):
    """Seen: of a benchmark that was killed the measured process went on."""
    lock = tmp_path / 'lock'
    # Its process imports this file by its name.
    measures = (
        'import test_memory; from benchmarks import memory; '
        'memory.measure(test_memory.holding_a_lock)'
    )
    folders = [str(Path(__file__).parent), *sys.path]
    env = {**os.environ, 'PYTHONPATH': os.pathsep.join(folders), 'LOCK': str(lock)}
    command = [sys.executable, '-W', 'ignore', '-c', measures]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=env) as process:
        assert process.stdout.readline() == b'locked\n'
        process.kill()
    assert_is_let_go(lock)


def test_says_that_the_process_has_ended():
    with pytest.raises(ChildProcessError, match='has ended early'):
        memory.measure(ending)
