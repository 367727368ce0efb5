"""What a wheel carries works from pip install alone, away from any checkout."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest
import torch

from paths import ROOT

FOLDERS = ('dhm_plugin', 'configs', 'tools', 'docs')
PIP = (sys.executable, '-m', 'pip', '--disable-pip-version-check', '-q')


def call(*command, **options):
    process = subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        **options,
    )
    assert process.returncode == 0, process.stdout[-4000:]
    return process.stdout


def pip_wheel(source, folder):
    options = ('--no-deps', '--no-build-isolation', '--no-index', '-w', folder)
    call(*PIP, 'wheel', *options, source, cwd=folder)
    (wheel,) = folder.glob('*.whl')
    return wheel


def files_of(*folders):
    """What the checkout has in its folders: what git would carry of a clean one."""
    return {
        path.relative_to(ROOT).as_posix()
        for folder in folders
        for path in (ROOT / folder).rglob('*')
        if path.is_file() and '__pycache__' not in path.parts
    }


@pytest.fixture(scope='module')
def source(tmp_path_factory):
    """A copy of the checkout, with a file that is no part of it."""
    source = tmp_path_factory.mktemp('build') / 'source'
    for name in FOLDERS:
        ignore = shutil.ignore_patterns('__pycache__')
        shutil.copytree(ROOT / name, source / name, ignore=ignore)
    for path in ROOT.iterdir():
        if path.is_file() and not path.name.startswith('.'):
            shutil.copy(path, source)
    (source / 'configs/dhm/notes.pth').write_text('no part of it')
    return source


@pytest.fixture(scope='module')
def sdist(source, tmp_path_factory):
    """The source distribution of the copy."""
    folder = tmp_path_factory.mktemp('sdist')
    call(sys.executable, 'setup.py', '-q', 'sdist', '-d', folder, cwd=source)
    (sdist,) = folder.glob('*.tar.gz')
    return sdist


@pytest.fixture(scope='module')
def wheel(sdist, tmp_path_factory):
    """A wheel of the source distribution."""
    return pip_wheel(sdist, tmp_path_factory.mktemp('wheel'))


@pytest.fixture(scope='module')
def installed(wheel, tmp_path_factory):
    """The folder that it is installed to, with nothing of the checkout on its path."""
    site = tmp_path_factory.mktemp('site')
    call(*PIP, 'install', '--no-deps', '--no-index', '--target', site, wheel, cwd=site)
    return site


@pytest.fixture(scope='module')
def python(installed, tmp_path_factory):
    """Run this Python with what is installed, in another folder."""
    environment = {**os.environ, 'PYTHONPATH': str(installed), 'OMP_NUM_THREADS': '1'}
    environment['CUDA_VISIBLE_DEVICES'] = ''
    folder = tmp_path_factory.mktemp('elsewhere')

    def run(*command):
        return call(sys.executable, '-W', 'ignore', *command, cwd=folder, env=environment)

    return run


def test_the_sdist_carries_what_the_checkout_has(sdist):
    with tarfile.open(sdist) as archive:
        names = {m.name.partition('/')[2] for m in archive.getmembers() if m.isfile()}
    carried = {name for name in names if name.partition('/')[0] in FOLDERS}
    assert carried == files_of(*FOLDERS)
    suffixes = {name.rpartition('.')[2] for name in carried}
    pages = {'md', 'yml', 'svg', 'png', 'csv', 'json'}
    assert suffixes == {'py', 'typed', 'sh', 'safetensors'} | pages
    pages = {'README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'CITATION.cff', 'LICENSE'}
    assert names >= pages | {'model-index.yml', 'setup.py', 'pyproject.toml'}


def test_the_wheel_carries_what_the_checkout_has(wheel):
    mim = files_of('configs', 'tools') | {'model-index.yml'}
    expected = files_of('dhm_plugin') | {f'dhm_plugin/.mim/{name}' for name in mim}
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if name.startswith('dhm_plugin/')}
    assert names == expected


def test_a_wheel_of_the_checkout_is_that_of_the_sdist(wheel, source, tmp_path):
    def content(path):
        with zipfile.ZipFile(path) as archive:
            return {
                info.filename: (archive.read(info), info.external_attr)
                for info in archive.infolist()
            }

    direct = content(pip_wheel(source, tmp_path))
    packed = content(wheel)
    assert {name for name in packed if packed[name] != direct.get(name)} == set()
    assert set(direct) == set(packed)
    assert not (source / 'dhm_plugin/.mim').exists()


def test_scripts_stay_executable(installed):
    scripts = [*installed.glob('dhm_plugin/.mim/tools/*.sh')]
    assert len(scripts) == len([*ROOT.glob('tools/*.sh')])
    assert all(os.access(script, os.X_OK) for script in scripts)


def test_models_by_name(python, installed):
    output = python(
        '-c',
        'import dhm_plugin, mmpretrain\n'
        'model = mmpretrain.get_model("resnet8_dhm_1xb64_digits", pretrained=True)\n'
        'print(dhm_plugin.__file__)\n'
        'print(len(mmpretrain.list_models("*_dhm_")))\n'
        'print(type(model).__name__, model._config.filename)\n'
        'print(model._metainfo.weights)',
    ).splitlines()
    package = installed / 'dhm_plugin'
    number = len([*ROOT.glob('configs/dhm/*.py')])
    config = package / '.mim/configs/dhm/resnet8_dhm_1xb64_digits.py'
    assert output[-4:] == [
        str(package / '__init__.py'),
        str(number),
        f'DHMClassifier {config}',
        str(config.with_suffix('.safetensors')),
    ]


@pytest.mark.one_stack
def test_converter(python, installed, tmp_path):
    tool = installed / 'dhm_plugin/.mim/tools/model_converters/official_to_dhm.py'
    keys = json.loads((ROOT / 'tests/data/cifar_resnet32.keys.json').read_text())
    weights = {key: torch.zeros(shape) for key, shape in keys.items()}
    torch.save(weights, tmp_path / 'official.pth')
    output = python(tool, tmp_path / 'official.pth', tmp_path / 'dhm.pth')
    assert 'architecture: that of configs/dhm/resnet32_dhm_1xb128_cifar100.py' in output
    assert (tmp_path / 'dhm.pth').is_file()
