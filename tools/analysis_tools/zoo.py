"""The model zoo: metafiles and tables, computed from the configs."""

import re
from pathlib import Path

import yaml

import markdown_table
from complexity import complexity
from dhm_plugin.checkpoints.export.config import load_config, type_name
from dhm_plugin.checkpoints.export.image_shape import image_shape
from progress import track

# Top-1 and top-5 error (%) on ImageNet as the paper reports them. It has no ResNet-34.
PAPER_ERRORS = {
    'resnet18_dsl_8xb32_in1k': (29.728, 10.450),
    'resnet50_dsl_8xb32_in1k': (23.874, 7.074),
    'resnet101_dsl_8xb32_in1k': (22.260, 6.128),
    'resnet152_dsl_8xb32_in1k': (21.602, 5.824),
    'resnet18_dhm_8xb32_in1k': (28.714, 9.940),
    'resnet50_dhm_8xb32_in1k': (23.430, 6.764),
    'resnet101_dhm_8xb32_in1k': (21.348, 5.684),
    'resnet152_dhm_8xb32_in1k': (20.810, 5.396),
}
# Top-1 accuracy (%) of our weights on the test images, as tests/test_weights.py has it.
ACCURACIES = {
    'resnet8_1xb64_digits': 97.78,
    'resnet8_dsl_1xb64_digits': 97.78,
    'resnet8_dhm_1xb64_digits': 97.22,
}
# The word of a metafile for each dataset's class, in the order of the tables.
DATASETS = {
    'ImageNet': 'ImageNet-1k',
    'CIFAR100': 'CIFAR-100',
    'CIFAR10': 'CIFAR-10',
    'FashionMNIST': 'Fashion-MNIST',
    'Digits': "scikit-learn's digits",
}
FAMILIES = {'resnet': 'ResNet', 'wrn': 'WRN', 'densenet': 'DenseNet'}
PAPER = {
    'Title': 'Dynamic Hierarchical Mimicking Towards Consistent Optimization Objectives',
    'URL': 'https://arxiv.org/abs/2003.10739',
}
RECIPE = ['SGD with Momentum', 'Weight Decay']
SIDE_BRANCHES = 'Side branches, dropped after the training'
COLLECTIONS = {
    'dhm': {
        'Name': 'DHM',
        'Metadata': {'Training Techniques': [*RECIPE, SIDE_BRANCHES, 'Mimicking losses']},
        'Paper': PAPER,
        'README': 'configs/dhm/README.md',
    },
    'dsl': {
        'Name': 'DSL',
        'Metadata': {'Training Techniques': [*RECIPE, SIDE_BRANCHES]},
        'Paper': PAPER,
        'README': 'configs/dsl/README.md',
    },
    'plain': {
        'Name': 'Plain',
        'Metadata': {'Training Techniques': RECIPE},
        'README': 'configs/plain/README.md',
    },
}
BEGIN = '<!-- table of the models: tools/analysis_tools/update_zoo.py writes it -->'
END = '<!-- end of the table -->'
HEADER = '# tools/analysis_tools/update_zoo.py writes this file.\n'


def zoo_files(root: Path) -> dict[Path, str]:
    """Compute what the files of the zoo must hold.

    Args:
        root (Path): The folder of ``configs``.

    Returns:
        dict[Path, str]: The text by its file: the metafiles, the READMEs of the config
        folders with their tables, and the model index.

    Raises:
        ValueError: If a config or a README does not fit the zoo.
    """
    paths = [path for m in COLLECTIONS for path in (root / 'configs' / m).glob('*.py')]
    of_method = {method: [] for method in COLLECTIONS}
    for path in track(paths, 'counting parameters and FLOPs', lambda path: path.stem):
        of_method[path.parent.name].append(describe(path, root))
    files = {}
    for method, collection in COLLECTIONS.items():
        folder = root / 'configs' / method
        models = sorted(of_method[method], key=_order)
        content = {'Collections': [collection], 'Models': models}
        files[folder / 'metafile.yml'] = HEADER + _dump(content)
        files[folder / 'README.md'] = with_table(folder / 'README.md', models)
    metafiles = [f'configs/{method}/metafile.yml' for method in COLLECTIONS]
    files[root / 'model-index.yml'] = HEADER + _dump({'Import': metafiles})
    return files


def describe(path: Path, root: Path) -> dict:
    """Describe a config as a metafile does.

    Args:
        path (Path): The config.
        root (Path): The folder of ``configs``.

    Returns:
        dict: The entry under ``Models``. ``Parameters`` and ``FLOPs`` are those of the
        deployed network, the ``Training`` ones those of all branches.

    Raises:
        ValueError: If it does not say its dataset, its image size or its batch size.
    """
    cfg = load_config(path)
    dataset = cfg.train_dataloader.dataset
    while 'dataset' in dataset:
        dataset = dataset.dataset
    dataset = type_name(dataset.type)
    if dataset not in DATASETS:
        raise ValueError(
            f'{path}: trains on {dataset}; the zoo knows {", ".join(DATASETS)}: add it '
            'to DATASETS of tools/analysis_tools/zoo.py'
        )
    if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
        raise ValueError(
            f'{path}: has no auto_scale_lr; its base_batch_size must be the images a '
            'batch of all GPUs together'
        )
    training, deployed = complexity(cfg, image_shape(cfg))
    metadata = {
        'Training Data': DATASETS[dataset],
        'Epochs': cfg.train_cfg.max_epochs,
        'Batch Size': cfg.auto_scale_lr.base_batch_size,
        'Architecture': [network_name(path.stem).split('-')[0]],
        'Parameters': deployed.parameters,
        'FLOPs': deployed.flops,
        'Training Parameters': training.parameters,
        'Training FLOPs': training.flops,
    }
    model = {
        'Name': path.stem,
        'In Collection': COLLECTIONS[path.parent.name]['Name'],
        'Config': path.relative_to(root).as_posix(),
        'Metadata': metadata,
    }
    if path.stem in PAPER_ERRORS:
        top1, top5 = PAPER_ERRORS[path.stem]
        result = {
            'Task': 'Image Classification',
            'Dataset': DATASETS[dataset],
            'Reported By': "the paper's authors; not reproduced with this code",
            'Metrics': {'Top 1 Error': top1, 'Top 5 Error': top5},
        }
        model['Results'] = [result]
    if path.stem in ACCURACIES:
        model['Weights'] = path.with_suffix('.safetensors').relative_to(root).as_posix()
        result = {
            'Task': 'Image Classification',
            'Dataset': DATASETS[dataset],
            'Metrics': {'Top 1 Accuracy': ACCURACIES[path.stem]},
        }
        model['Results'] = [result]
    return model


def network_name(stem: str) -> str:
    """Tell the name of a config's network.

    Args:
        stem (str): The config's name.

    Returns:
        str: The name.

    Raises:
        ValueError: If it does not begin with a family and its numbers.

    Examples:
        >>> network_name('densenet-bc100-12_dhm_1xb64_cifar10')
        'DenseNet-BC-100-12'
    """
    match = re.match(rf'({"|".join(FAMILIES)})(-bc)?(\d+(?:-\d+)?)_', stem)
    if match is None:
        raise ValueError(
            f'{stem}: the name of a config must begin with one of {", ".join(FAMILIES)} '
            'and its depth, such as resnet18_'
        )
    family, bc, numbers = match.groups()
    return f'{FAMILIES[family]}{bc.upper() if bc else ""}-{numbers}'


def _order(model: dict) -> tuple:
    """Sort by data, family, kind and depth."""
    data = list(DATASETS.values()).index(model['Metadata']['Training Data'])
    network = network_name(model['Name'])
    family = list(FAMILIES.values()).index(network.split('-')[0])
    return data, family, 'BC' in network, [int(n) for n in re.findall(r'\d+', network)]


def table(models: list[dict]) -> str:
    """Write the table of a folder's models.

    Args:
        models (list[dict]): The ``Models`` of its metafile.

    Returns:
        str: The table, in Markdown.
    """
    keys = ['Parameters', 'FLOPs']
    titles = ['parameters', 'FLOPs']
    if any(
        m['Metadata'][k] != m['Metadata'][f'Training {k}'] for m in models for k in keys
    ):
        keys += [f'Training {key}' for key in keys]
        titles += [f'{title} in training' for title in titles]
    rows = []
    for model in models:
        metadata = model['Metadata']
        name = model['Name']
        numbers = [shorten(metadata[key]) for key in keys]
        data = metadata['Training Data']
        rows.append([network_name(name), data, *numbers, f'[{name}]({name}.py)'])
    return markdown_table.table(['network', 'data', *titles, 'config'], *rows)


def shorten(number: int) -> str:
    """Round a number for a table.

    Args:
        number (int): The number.

    Returns:
        str: It with two decimals and its unit.

    Examples:
        >>> shorten(1819065856), shorten(269434)
        ('1.82 G', '0.27 M')
    """
    unit, size = ('G', 1e9) if number >= 1e9 else ('M', 1e6)
    return f'{number / size:.2f} {unit}'


def with_table(readme: Path, models: list[dict]) -> str:
    """Put the table of its models into a README.

    Args:
        readme (Path): The README; the table stands between two comments in it.
        models (list[dict]): The ``Models`` of the folder's metafile.

    Returns:
        str: The README's text with the table as it must be.

    Raises:
        ValueError: If it lacks the two comments.
    """
    text = readme.read_text(encoding='utf-8') if readme.is_file() else ''
    before, begin, rest = text.partition(f'{BEGIN}\n')
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(
            f'{readme}: has no place for the table of its models; it must have the lines '
            f'{BEGIN} and {END}'
        )
    return f'{before}{begin}\n{table(models)}\n{end}{after}'


class _Dumper(yaml.SafeDumper):
    """Indents lists and has no anchors, as MMPretrain's metafiles."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: object) -> bool:
        return True


def _dump(content: dict) -> str:
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=1000)
