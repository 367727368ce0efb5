#!/usr/bin/env python
"""Train plain, DSL and DHM on scikit-learn's digits, and show what comes out."""

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import matplotlib
import torch
from mmengine.dataset import default_collate
from mmengine.registry import init_default_scope
from mmpretrain.registry import DATASETS, MODELS

import markdown_table
from dhm_plugin import DHMClassifier
from dhm_plugin.checkpoints import read_state_dict, written_at_once
from dhm_plugin.checkpoints.export.config import load_config
from progress import Progress, run_watched
from studies.log import last_step, read

matplotlib.use('Agg')
from matplotlib import pyplot as plt

TOOLS = Path(__file__).parents[1]
CONFIGS = {
    'plain': TOOLS.parent / 'configs/plain/resnet20_1xb64_digits.py',
    'DSL': TOOLS.parent / 'configs/dsl/resnet20_dsl_1xb64_digits.py',
    'DHM': TOOLS.parent / 'configs/dhm/resnet20_dhm_1xb64_digits.py',
}
COLORS = {'plain': '#7f7f7f', 'DSL': '#1f77b4', 'DHM': '#d62728'}


def run(
    log: Path, script: str, *arguments: object, watch: Callable[[], None] = lambda: None
) -> None:
    """Run one of the tools, its output into a file; stop with its end if it fails."""
    command = [sys.executable, str(TOOLS / script), *map(str, arguments)]
    with log.open('w') as file:
        code = run_watched(command, watch, stdout=file, stderr=subprocess.STDOUT)
    if code:
        end = ''.join(log.read_text().splitlines(keepends=True)[-20:])
        sys.exit(f'{" ".join(command)} failed; the end of {log}:\n{end}')


def train(
    method: str, folder: Path, epochs: int, progress: Progress
) -> tuple[Path, float]:
    """Train one method with ``tools/train.py``: its checkpoint, and the seconds."""
    before = list(CONFIGS).index(method) * epochs

    def watch() -> None:
        epoch = last_step(folder)
        doing = f'{method}, epoch {min(epoch + 1, epochs)} of {epochs}'
        progress.update(before + epoch, doing)

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    started = time.monotonic()
    arguments = [CONFIGS[method], '--work-dir', folder]
    arguments += ['--cfg-options', f'train_cfg.max_epochs={epochs}']
    run(folder / 'train.log', 'train.py', *arguments, watch=watch)
    seconds = time.monotonic() - started
    return Path((folder / 'last_checkpoint').read_text()), seconds


def test(config: Path, checkpoint: Path, folder: Path) -> float:
    """Measure the accuracy (%) of a network with ``tools/test.py``."""
    out = folder / f'{checkpoint.stem}_metrics.json'
    options = ['--work-dir', folder, '--out', out, '--out-item', 'metrics']
    run(folder / f'{checkpoint.stem}_test.log', 'test.py', config, checkpoint, *options)
    return json.loads(out.read_text())['accuracy/top1']


@torch.no_grad()
def branch_predictions(
    config: Path, checkpoint: Path
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Classify the test split: the logits of every branch, and the labels."""
    init_default_scope('mmpretrain')
    cfg = load_config(config)
    model = MODELS.build({**cfg.model, 'data_preprocessor': cfg.data_preprocessor})
    model.load_state_dict(read_state_dict(checkpoint)[0])
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    data = model.eval().data_preprocessor(default_collate(list(dataset)))
    labels = torch.cat([sample.gt_label for sample in data['data_samples']])
    if isinstance(model, DHMClassifier):
        logits = model.branch_logits(data['inputs'])
        return dict(zip(model.branch_names, logits)), labels
    return dict(main=model(data['inputs'])), labels


def strip_and_compare(method: str, checkpoint: Path, main: torch.Tensor) -> float:
    """Strip the side branches, test the result as a plain network, compare."""
    folder = checkpoint.parent
    stripped = folder / 'stripped.pth'
    script = 'model_converters/strip_side_branches.py'
    run(folder / 'strip.log', script, checkpoint, stripped)
    accuracy = test(CONFIGS['plain'], stripped, folder)
    plain, _ = branch_predictions(CONFIGS['plain'], stripped)
    if not torch.equal(plain['main'], main):
        sys.exit(f'{method}: the stripped network does not predict the same')
    print(
        f'{method}: {stripped} runs in the plain network of {CONFIGS["plain"].name}; '
        f'all {len(main)} predictions are the same, bit for bit'
    )
    return accuracy


def plot(folders: dict[str, Path], path: Path) -> None:
    """Draw the test accuracy of each method, and the losses of DHM's branches."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout='constrained')
    for method, folder in folders.items():
        points = zip(*read(folder)['accuracy/top1'])
        left.plot(*points, color=COLORS[method], label=method)
    left.set(
        title='Main branch, digits test split',
        xlabel='epoch',
        ylabel='top-1 accuracy (%)',
        ylim=(80, 100),
    )
    left.legend(frameon=False)
    curves = read(folders['DHM'])
    branches = {'side0': '#9ecae1', 'side1': '#4292c6', 'main': '#08306b'}
    for name, color in branches.items():
        for kind, style in (('ce', '-'), ('mimic', ':')):
            right.plot(
                *zip(*curves[f'loss_{kind}_{name}']),
                style,
                color=color,
                label=f'{"cross-entropy" if kind == "ce" else "mimicking"}, {name}',
            )
    right.set(
        title='DHM, training losses of each branch',
        xlabel='iteration',
        ylabel='loss',
        yscale='log',
    )
    right.legend(frameon=False, fontsize=8)
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.spines[['top', 'right']].set_visible(False)
    with written_at_once(path) as temporary:
        figure.savefig(temporary, dpi=120)


def compare(
    folders: dict[str, Path], epochs: int, progress: Progress
) -> tuple[list[list[str]], torch.Tensor]:
    """Train, test and strip every method: rows of the table, and the labels."""
    rows = []
    for method, config in CONFIGS.items():
        folder = folders[method]
        print(f'{method}: training on the digits ...', flush=True)
        checkpoint, seconds = train(method, folder, epochs, progress)
        logits, labels = branch_predictions(config, checkpoint)
        right = {name: (z.argmax(1) == labels).double() for name, z in logits.items()}
        accuracy = right['main'].mean().item() * 100
        print(
            f'{method}: {seconds:.0f} s, {accuracy:.2f} % of the test split', flush=True
        )
        stripped = '-'
        if method != 'plain':
            value = strip_and_compare(method, checkpoint, logits['main'])
            stripped = f'{value:.2f}'
        cells = [
            f'{right[name].mean().item() * 100:.2f}' if name in right else '-'
            for name in ('main', 'side0', 'side1')
        ]
        rows.append([method, *cells, stripped])
    return rows, labels


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--out', type=Path, default=Path('work_dirs/demo'))
    parser.add_argument('--epochs', type=int, help="fewer than the configs' 25")
    args = parser.parse_args()
    epochs = args.epochs or load_config(CONFIGS['plain']).train_cfg.max_epochs
    folders = {method: args.out / method.lower() for method in CONFIGS}
    with Progress('training on the digits', len(CONFIGS) * epochs) as progress:
        rows, labels = compare(folders, epochs, progress)
    header = ['', 'main branch', 'side0', 'side1', 'stripped, as a plain network']
    table = markdown_table.table(header, *rows)
    with written_at_once(args.out / 'table.md') as temporary:
        temporary.write_text(table)
    plot(folders, args.out / 'curves.png')
    print(
        f'\nTop-1 accuracy (%) of every branch on the {len(labels)} test images, one run '
        f'each, which says little about which is better:\n\n{table}\nThe curves are in '
        f'{args.out / "curves.png"}'
    )


if __name__ == '__main__':
    main()
