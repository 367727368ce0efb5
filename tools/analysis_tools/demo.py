#!/usr/bin/env python
"""Train plain, DSL and DHM on scikit-learn's digits, over seeds, and show what comes out.

It is a small study: killed and started again, it goes on where it was.
"""

import argparse
import sys
from pathlib import Path

import torch
from mmengine.dataset import default_collate
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmpretrain.registry import DATASETS, MODELS

from arguments import positive
from dhm_plugin.checkpoints import (
    convert_file,
    read_state_dict,
    strip_side_branches,
    written_at_once,
)
from dhm_plugin.checkpoints.export.config import load_config
from dhm_plugin.checkpoints.latest import latest_whole
from studies import results, tables
from studies.branch_plot import draw
from studies.comparison import differences, paired_difference
from studies.log import read
from studies.plot import plot
from studies.run import jobs_at_once, train
from studies.study import Study
from studies.training import Training

CONFIGS = Path(__file__).parents[2] / 'configs'
METHODS = {
    'plain': CONFIGS / 'plain/resnet8_1xb64_digits.py',
    'DSL': CONFIGS / 'dsl/resnet8_dsl_1xb64_digits.py',
    'DHM': CONFIGS / 'dhm/resnet8_dhm_1xb64_digits.py',
}


@torch.no_grad()
def main_logits(config: Path, checkpoint: Path) -> torch.Tensor:
    """Classify the test images with the main branch: logits (N, classes)."""
    cfg = load_config(config)
    model = MODELS.build({**cfg.model, 'data_preprocessor': cfg.data_preprocessor})
    model.load_state_dict(read_state_dict(checkpoint)[0])
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    data = model.eval().data_preprocessor(default_collate(list(dataset)))
    return model(data['inputs'])


def strip_and_compare(training: Training) -> str:
    """Strip the side branches, predict with the plain network, compare.

    Args:
        training (Training): Of a network with side branches, at its end.

    Returns:
        str: What was found.

    Raises:
        ValueError: If a prediction differs.
    """
    checkpoint = Path(latest_whole(training.work_dir))
    stripped = training.work_dir / 'stripped.pth'
    convert_file(
        checkpoint,
        stripped,
        lambda weights, _: dict(state_dict=strip_side_branches(weights)),
    )
    before = main_logits(training.config, checkpoint)
    after = main_logits(METHODS['plain'], stripped)
    if not torch.equal(before, after):
        raise ValueError(f'{stripped}: the stripped network does not predict the same')
    return (
        f'{training.name}: without side branches, {stripped} runs in the plain network; '
        f'all {len(before)} predictions are the same, bit for bit'
    )


def what_runs_tell(rows: list[dict[str, str]]) -> str:
    """Say what one run of a method shows, what all of them show, and what they do not.

    Args:
        rows (list[dict[str, str]]): Of the CSV file.

    Returns:
        str: A line a method.
    """
    plain = results.values(rows, 'plain')
    lines = [
        f'plain: {min(plain.values()):.2f} to {max(plain.values()):.2f} % by the seed '
        'alone. A difference that is smaller, of one run each, shows nothing.'
    ]
    for method in ('DSL', 'DHM'):
        accuracies = results.values(rows, method)
        found = differences(accuracies, plain)
        text = (
            f'{method} - plain: {min(found):+.2f} to {max(found):+.2f}, of one run each '
            'and the same seed'
        )
        mean, half, seeds = paired_difference(accuracies, plain)
        if seeds > 1:
            text += f'; of {seeds} seeds {mean:+.2f} ± {half:.2f}, a 95% interval that '
            text += 'excludes 0' if abs(mean) > half else 'holds 0: none is shown to win'
        lines.append(f'{text}.')
    return '\n'.join(lines)


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--out', type=Path, default=Path('work_dirs/demo'))
    parser.add_argument('--seeds', type=positive, default=3, help='default: 3')
    parser.add_argument('--epochs', type=positive, help="fewer than the configs' 25")
    args = parser.parse_args()
    MMLogger.get_current_instance().setLevel('ERROR')
    init_default_scope('mmpretrain')
    options = {'train_cfg.max_epochs': args.epochs} if args.epochs else {}
    study = Study(args.out.resolve(), METHODS, range(args.seeds), options)
    csv = args.out / 'results.csv'
    trainings = study.finals({method: {} for method in METHODS})
    try:
        train(trainings, jobs_at_once(), csv)
        first = {t.name: t for t in trainings if t.seed == 0}
        stripped = [strip_and_compare(first[method]) for method in ('DSL', 'DHM')]
    except (RuntimeError, ValueError, OSError) as error:
        sys.exit(f'demo.py: {error}')
    rows = [row for row in results.read(csv) if int(row['seed']) < args.seeds]
    table = tables.table(rows, [*METHODS])
    with written_at_once(args.out / 'table.md') as temporary:
        temporary.write_text(table)
    plot(rows, [*METHODS], args.out / 'results.png')
    draw({name: read(t.work_dir) for name, t in first.items()}, args.out / 'curves.png')
    print(
        *stripped,
        '\nTop-1 accuracy (%) of every branch on the 360 test images, mean ± standard '
        f'deviation over the seeds:\n\n{table}',
        what_runs_tell(rows),
        f'\nEvery run is a point of {args.out / "results.png"}; the curves of every '
        f'branch, of seed 0, are in {args.out / "curves.png"}',
        sep='\n',
    )


if __name__ == '__main__':
    main()
