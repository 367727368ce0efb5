"""The metafiles, the model index and the tables, against configs and paper."""

import modelindex
import pytest
import torchvision
import yaml
from mmengine import Config

import progress
import zoo
from paths import ROOT

METHODS = ('dhm', 'dsl', 'plain')
ERRORS = {
    'resnet18_dsl': (29.728, 10.450),
    'resnet50_dsl': (23.874, 7.074),
    'resnet101_dsl': (22.260, 6.128),
    'resnet152_dsl': (21.602, 5.824),
    'resnet18_dhm': (28.714, 9.940),
    'resnet50_dhm': (23.430, 6.764),
    'resnet101_dhm': (21.348, 5.684),
    'resnet152_dhm': (20.810, 5.396),
}
V1 = 'IMAGENET1K_V1'
# Those that are counted in little time; update_zoo.py --check does them all.
QUICK = [
    f'{method}/{network}{"" if method == "plain" else f"_{method}"}_{rest}.py'
    for method in METHODS
    for network, rest in (
        ('resnet18', '8xb32_in1k'),
        ('resnet8', '1xb64_digits'),
        ('resnet32', '1xb128_cifar10'),
        ('wrn16-8', '1xb128_cifar100'),
        ('densenet40-12', '1xb64_cifar10'),
    )
]


def load(method):
    return yaml.safe_load((ROOT / 'configs' / method / 'metafile.yml').read_text())


@pytest.fixture(scope='module')
def models():
    """Every model's entry by its name."""
    return {model['Name']: model for m in METHODS for model in load(m)['Models']}


@pytest.mark.parametrize('method', METHODS)
def test_every_config_is_one_model(method):
    content = load(method)
    (collection,) = content['Collections']
    assert collection['README'] == f'configs/{method}/README.md'
    folder = ROOT / 'configs' / method
    configs = [ROOT / model['Config'] for model in content['Models']]
    assert sorted(configs) == sorted(folder.glob('*.py'))
    for model, config in zip(content['Models'], configs):
        assert model['Name'] == config.stem
        assert model['In Collection'] == collection['Name']
        weights = config.with_suffix('.safetensors')
        assert ('Weights' in model) == weights.is_file()
        assert ROOT / model.get('Weights', weights) == weights


def test_what_the_configs_say(models):
    for model in models.values():
        cfg = Config.fromfile(ROOT / model['Config'])
        metadata = model['Metadata']
        assert metadata['Epochs'] == cfg.train_cfg.max_epochs
        gpus = int(model['Name'].split('xb')[0].rsplit('_', 1)[1])
        assert metadata['Batch Size'] == gpus * cfg.train_dataloader.batch_size
        data = dict(in1k='ImageNet-1k', cifar100='CIFAR-100', cifar10='CIFAR-10')
        data['fmnist'] = 'Fashion-MNIST'
        suffix = model['Name'].rsplit('_', 1)[1]
        assert metadata['Training Data'] == data.get(suffix, "scikit-learn's digits")


@pytest.mark.parametrize('config', QUICK)
def test_numbers_are_those_of_the_networks(config, models):
    path = ROOT / 'configs' / config
    assert zoo.describe(path, ROOT) == models[path.stem]


def test_what_is_deployed_is_the_plain_network(models):
    for name, model in models.items():
        plain = models[name.replace('_dhm', '').replace('_dsl', '')]['Metadata']
        dsl = models[name.replace('_dhm', '_dsl')]['Metadata']
        metadata = model['Metadata']
        for key in ('Parameters', 'FLOPs'):
            assert metadata[key] == plain[key] == plain[f'Training {key}']
            assert metadata[f'Training {key}'] == dsl[f'Training {key}']
            if metadata is not plain:
                assert metadata[f'Training {key}'] > metadata[key]


@pytest.mark.parametrize(
    ('name', 'parameters', 'flops'),
    [
        # MMPretrain's metafile
        ('resnet18_8xb32_in1k', 11.69e6, 1.82e9),
        ('resnet50_8xb32_in1k', 25.56e6, 4.12e9),
        ('resnet101_8xb32_in1k', 44.55e6, 7.85e9),
        ('resnet152_8xb32_in1k', 60.19e6, 11.58e9),
        # the papers of the networks
        ('resnet110_1xb128_cifar10', 1.7e6, None),
        ('resnet1202_1xb128_cifar10', 19.4e6, None),
        ('wrn16-8_1xb128_cifar10', 11.0e6, None),
        ('wrn28-10_1xb128_cifar10', 36.5e6, None),
        ('densenet40-12_1xb64_cifar10', 1.0e6, None),
        ('densenet100-12_1xb64_cifar10', 7.0e6, None),
        ('densenet100-24_1xb64_cifar10', 27.2e6, None),
        ('densenet-bc100-12_1xb64_cifar10', 0.8e6, None),
        ('densenet-bc250-24_1xb64_cifar10', 15.3e6, None),
        ('densenet-bc190-40_1xb64_cifar10', 25.6e6, None),
    ],
)
def test_numbers_are_the_known_ones(name, parameters, flops, models):
    metadata = models[name]['Metadata']
    assert metadata['Parameters'] == pytest.approx(parameters, rel=5e-2)
    if flops:
        assert metadata['FLOPs'] == pytest.approx(flops, rel=5e-3)


def test_results_are_the_papers(models):
    found = {}
    for name, model in models.items():
        # Those of models with weights are measured in tests/test_weights.py.
        if 'Results' in model and 'Weights' not in model:
            (result,) = model['Results']
            metrics = result['Metrics']
            errors = metrics['Top 1 Error'], metrics['Top 5 Error']
            found[name.removesuffix('_8xb32_in1k')] = errors
            assert result['Dataset'] == 'ImageNet-1k'
            assert 'authors' in result['Reported By']
    assert found == ERRORS


def test_the_readme_has_the_same_results():
    text = (ROOT / 'configs/dhm/README.md').read_text()
    for method in ('dsl', 'dhm'):
        cells = [
            '{:.3f} / {:.3f}'.format(*ERRORS[f'resnet{depth}_{method}'])
            for depth in (18, 50, 101, 152)
        ]
        assert f'| {" | ".join([method.upper(), *cells])} |' in text


def test_what_the_readme_says_of_plain_networks(models):
    text = ' '.join((ROOT / 'configs/dhm/README.md').read_text().split())
    depths, tops = (18, 50, 101, 152), ('acc@1', 'acc@5')
    weights = [torchvision.models.get_weight(f'ResNet{d}_Weights.{V1}') for d in depths]
    metrics = [each.meta['_metrics']['ImageNet-1K'] for each in weights]
    plain = [[round(100 - each[top], 3) for top in tops] for each in metrics]
    cells = [f'{top1:.3f} / {top5:.3f}' for top1, top5 in plain]
    assert f'| plain, of torchvision | {" | ".join(cells)} |' in text

    def below(method):
        pairs = zip(depths, plain)
        found = [p[0] - ERRORS[f'resnet{depth}_{method}'][0] for depth, p in pairs]
        return '{:.1f}, {:.1f}, {:.1f} and {:.1f}'.format(*found).replace('-0.0', '0.0')

    said = f"DHM's top-1 error is {below('dhm')} below theirs, DSL's {below('dsl')}."
    assert said in text
    ratios = []
    for depth in depths:
        of = models[f'resnet{depth}_dhm_8xb32_in1k']['Metadata']
        ratios.append(of['Training FLOPs'] / of['FLOPs'])
    said = '{:.1f}, {:.1f}, {:.1f} and {:.1f} times the FLOPs'.format(*ratios)
    assert f'The training with side branches takes {said}' in text


@pytest.mark.parametrize('method', METHODS)
def test_the_table_is_that_of_the_metafile(method):
    readme = ROOT / 'configs' / method / 'README.md'
    models = load(method)['Models']
    assert readme.read_text() == zoo.with_table(readme, models)
    assert all(f']({model["Name"]}.py)' in zoo.table(models) for model in models)


def test_modelindex_reads_it(models):
    index = modelindex.load(str(ROOT / 'model-index.yml'))
    # As in MMPretrain's metafiles, the READMEs' paths begin at the root: it does not look
    # there.
    assert [e for e in index.check(silent=True) if 'README' not in e] == []
    assert {model.name for model in index.models} == set(models)
    assert [collection.name for collection in index.collections] == [
        'DHM',
        'DSL',
        'Plain',
    ]
    by_name = {model.name: model for model in index.models}
    dsl = by_name['resnet18_dsl_8xb32_in1k'].full_model
    techniques = dsl.metadata.training_techniques
    assert 'Side branches, dropped after the training' in techniques


def small_zoo(root, config):
    """A checkout with one config, which trains on the digits."""
    for method in METHODS:
        (root / 'configs' / method).mkdir(parents=True)
        readme = root / 'configs' / method / 'README.md'
        readme.write_text(f'before\n{zoo.BEGIN}\nold\n{zoo.END}\nafter\n')
    base = ROOT / 'configs/plain/resnet20_1xb64_digits.py'
    path = root / 'configs' / 'plain' / 'resnet20_1xb64_digits.py'
    path.write_text(f'_base_ = {str(base)!r}\n{config}\n')
    return path


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        (
            "train_dataloader = dict(dataset=dict(dataset=dict(type='Birds')))",
            'trains on Birds; the',
        ),
        ('auto_scale_lr = dict(_delete_=True)', 'has no auto_scale_lr; its base_batch'),
        (
            'data_preprocessor = dict(_delete_=True, mean=[0.0], std=[1.0])',
            'the image size is unknown; a step of the test or training pipeline',
        ),
    ],
)
def test_names_the_config_that_does_not_fit(config, message, tmp_path):
    path = small_zoo(tmp_path, config)
    with pytest.raises(ValueError, match=message) as error:
        zoo.zoo_files(tmp_path)
    assert str(error.value).startswith(f'{path}: ')


def test_shows_how_far_it_is(tmp_path, monkeypatch, capsys):
    small_zoo(tmp_path, '')
    monkeypatch.setattr(progress, 'LINES', 0)
    zoo.zoo_files(tmp_path)
    line = 'counting parameters and FLOPs: resnet20_1xb64_digits, 0%\n'
    assert capsys.readouterr().err == line


@pytest.mark.parametrize('text', [None, 'no table\n', f'{zoo.BEGIN}\n'])
def test_names_the_readme_without_a_place(text, tmp_path):
    small_zoo(tmp_path, '')
    readme = tmp_path / 'configs/dhm/README.md'
    readme.unlink() if text is None else readme.write_text(text)
    with pytest.raises(ValueError, match='has no place for the table') as error:
        zoo.zoo_files(tmp_path)
    assert str(error.value).startswith(f'{readme}: ')


def test_names_the_config_of_no_network():
    with pytest.raises(ValueError, match=r'^vgg16_in1k: the name .* such as resnet18_'):
        zoo.network_name('vgg16_in1k')
