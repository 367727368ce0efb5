"""Every command line of the pages is run by a test, or marked with what it needs."""

import ast
import re
import runpy
import subprocess
import sys

import pytest

from pages import PAGES, commands
from paths import ROOT

COMMANDS = list(commands())
DEMO = 'tests/tools/analysis_tools/test_demo.py::test_demo'
COMPARE = (
    'tests/tools/analysis_tools/test_compare_methods.py::test_goes_on_where_it_was_killed'
)
BENCHMARK = 'tests/tools/analysis_tools/test_benchmark.py::test_table_and_json'
PREPARE = 'tests/tools/dataset_converters/test_prepare_imagenet.py::'
CONVERTERS = 'tests/tools/model_converters/test_model_converters.py::'
# Who runs it, by what is run and its options: a test, or a file that is run.
RUN_BY = {
    ('make demo',): DEMO,
    ('make test',): '.ci/run',
    ('make lint',): '.ci/run',
    ('pip install', '-e'): 'Makefile',
    ('pip install', '--force-reinstall', '--no-deps'): 'Makefile',
    ('train.py',): 'tests/tools/test_train.py::test_train_kill_resume_test_strip',
    ('strip_side_branches.py',): f'{CONVERTERS}test_official_to_dhm_and_strip',
    ('official_to_dhm.py',): f'{CONVERTERS}test_official_to_dhm_and_strip',
    ('official_to_dhm.py', '--reverse'): (
        f'{CONVERTERS}test_in_and_back_out_gives_the_same_weights'
    ),
    ('export.py', '--to'): (
        'tests/tools/model_converters/test_export_command.py::test_ema_weights_are_taken'
    ),
    ('prepare_fashion_mnist.py',): (
        'tests/tools/dataset_converters/test_prepare_fashion_mnist.py'
        '::test_configs_find_what_it_writes'
    ),
    ('prepare_imagenet.py',): f'{PREPARE}test_a_config_reads_what_it_writes',
    ('prepare_imagenet.py', '--subset'): (
        f'{PREPARE}test_a_subset_has_the_first_classes_and_their_names'
    ),
    ('prepare_imagenet.py', '--pack'): (
        'tests/tools/test_imagenet_data.py::test_from_the_archives_to_a_tested_checkpoint'
    ),
    ('plot_branches.py', '--out'): (
        'tests/tools/analysis_tools/test_plot_branches.py::test_draws'
    ),
    ('compare_methods.py', '--out', '--seeds'): COMPARE,
    ('compare_methods.py', '--consistency', '--out', '--seeds'): COMPARE,
    ('compare_methods.py', '--cfg-options', '--consistency', '--out', '--seeds'): COMPARE,
    ('compare_studies.py', '--out', '--results'): (
        'tests/tools/analysis_tools/test_compare_studies.py'
        '::test_claims_of_all_and_what_they_cost'
    ),
    ('demo.py', '--epochs', '--out', '--seeds'): DEMO,
    ('print_side_branches.py',): (
        'tests/tools/analysis_tools/test_print_side_branches.py'
        '::test_what_it_prints_builds_the_same_model'
    ),
    ('compare_families.py', '--step'): (
        'tests/tools/analysis_tools/test_compare_families.py::test_a_row_of_a_family'
    ),
    ('get_flops.py',): (
        'tests/tools/analysis_tools/test_get_flops.py'
        '::test_the_deployed_network_has_the_plain_parameters'
    ),
    ('update_zoo.py',): (
        'tests/tools/analysis_tools/test_update_zoo.py::test_writes_and_checks'
    ),
    ('update_zoo.py', '--check'): (
        'tests/tools/analysis_tools/test_update_zoo.py::test_writes_and_checks'
    ),
    ('benchmark.py step',): BENCHMARK,
    ('benchmark.py train', '--steps'): BENCHMARK,
    ('benchmark.py loader',): BENCHMARK,
    ('benchmark.py infer',): BENCHMARK,
    ('plain_pytorch.py',): (
        'tests/docs/test_plain_pytorch.py::test_it_trains_and_drops_the_side_branches'
    ),
}


@pytest.fixture
def help_of(monkeypatch, capsys):
    """Show the help of one of the Python scripts, in this process."""

    def show(script, *subcommand):
        monkeypatch.setattr(sys, 'argv', [str(script), *subcommand, '--help'])
        monkeypatch.setattr(sys, 'path', [str(script.parent), *sys.path])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(script), run_name='__main__')
        assert not end.value.code
        return capsys.readouterr().out

    return show


def test_there_are_commands_and_no_others():
    assert len(COMMANDS) > 30
    for page in PAGES:
        rest = re.sub(r'^```shell\n.*?^```$', '', page.read_text(), flags=re.M | re.S)
        found = re.findall(r'^ *(?:\$ |python |pip |make |tools/\w|\./).*', rest, re.M)
        assert found == [], f'{page}: put it into a block of ```shell'


@pytest.mark.parametrize('command', COMMANDS, ids=str)
def test_is_run_by_a_test_or_marked(command):
    if command.needs:
        return
    key = (command.name, *command.options)
    assert key in RUN_BY, 'name the test that runs it in RUN_BY, or mark it: # needs ...'
    path, _, test = RUN_BY[key].partition('::')
    text = (ROOT / path).read_text()
    words = command.name.split()
    for word in (words[-1], *command.options):
        assert word in text, f'{path} does not run it'
    if test:
        (node,) = [n for n in ast.parse(text).body if getattr(n, 'name', '') == test]
        first = min(part.lineno for part in (node, *node.decorator_list))
        own = '\n'.join(text.splitlines()[first - 1 : node.end_lineno])
        for word in words[1:]:
            assert word in own, f'{test} does not run it'


def test_no_entry_is_left_over():
    used = {(c.name, *c.options) for c in COMMANDS if not c.needs}
    assert set(RUN_BY) - used == set()


@pytest.mark.parametrize('command', COMMANDS, ids=str)
def test_its_files_are_there(command):
    folders = r'(?:configs|docs|dhm_plugin|tests|tools)/'
    for word in command.words:
        if re.match(folders, word):
            assert list(ROOT.glob(word)), f'there is no {word}'


@pytest.mark.parametrize('command', COMMANDS, ids=str)
def test_its_options_are_known(command, help_of):
    scripts = ''.join(path.read_text() for path in ROOT.glob('tools/*.sh'))
    environment = (ROOT / 'Makefile').read_text() + scripts
    for variable in command.variables:
        assert variable in environment
    if command.script is None:
        _check_of_others(command)
        return
    # The shell scripts give their options to train.py or test.py.
    twin = re.sub(r'^(?:dist|slurm)_(\w+)\.sh$', r'\1.py', command.script.name)
    script = command.script.with_name(twin)
    if command.options or 'argparse' in script.read_text():
        text = help_of(script, *command.name.split()[1:])
    for option in command.options:
        assert re.search(rf'(?<![\w-]){option}(?![\w-])', text), f'no option {option}'
        choices = re.search(rf'{option} \{{(.+?)\}}', text)
        if choices:
            value = command.words[command.words.index(option) + 1]
            assert value in choices.group(1).split(',')


def _check_of_others(command):
    """Programs that are not ours: make, pip, tensorboard."""
    program = command.words[0]
    if program == 'make':
        assert f'\n{command.words[1]}:' in (ROOT / 'Makefile').read_text()
    elif program == 'pip':
        process = subprocess.run(
            [sys.executable, '-m', *command.words[:2], '--help'],
            stdout=subprocess.PIPE,
            text=True,
        )
        for option in command.options:
            assert re.search(rf'^ *(?:-\w, )?{option}[ ,]', process.stdout, re.M)
        setup = (ROOT / 'setup.py').read_text()
        for extra in re.findall(r'\[(\w+)\]', ' '.join(command.words)):
            assert f"'{extra}': [" in setup
    else:
        assert command.needs, f'{program} is none of our scripts'
