#!/usr/bin/env python
"""Scale the logits of a study's networks by a temperature, and measure them again.

One number a network corrects probabilities that are too high or too low, and changes no
prediction. It is chosen by the likelihood of the validation images, then likelihood and
calibration error are measured on the test images. Source: Guo et al., On Calibration of
Modern Neural Networks, ICML 2017. What is measured is the network without its side
branches, as compare_methods.py has trained it.
"""

import argparse
import dataclasses
import math
import sys
from pathlib import Path

import torch
from mmengine.config import ConfigDict
from mmengine.runner import Runner
from scipy.optimize import minimize_scalar
from torch import nn

from dhm_plugin import Calibration
from dhm_plugin.checkpoints import written_at_once
from dhm_plugin.checkpoints.export.trained import load_trained
from dhm_plugin.folder_lock import folder_lock
from progress import track
from studies import results, tables
from studies.choice import chosen_finals
from studies.study import read_study
from studies.training import Training

# Temperatures that are tried.
BOUNDS = (0.05, 20.0)
# What a row may differ from its network measured again: the fourth digit, and an image
# that falls into the next bin. Of 630 pairs of networks of other seeds none is so near.
NEAR = {'nll_main': 1e-4, 'ece_main': 2e-2}
# The likelihood without a temperature, which tells one network from another.
UNSCALED = 'unscaled_nll_main'

# Logarithms of the class probabilities (N, classes), and the labels (N,).
Predictions = tuple[torch.Tensor, torch.Tensor]


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('study', type=Path, help='file of a study')
    parser.add_argument(
        '--out',
        type=Path,
        required=True,
        help="folder of the study's trainings; temperature.csv and .md are written there",
    )
    return parser.parse_args()


def predictions(model: nn.Module, dataloader: ConfigDict) -> Predictions:
    """Let a network predict all images of a data loader's config."""
    samples = [
        sample.to_dict()
        for data in Runner.build_dataloader(dataloader, seed=0)
        for sample in model.val_step(data)
    ]
    _, log_probs, labels = Calibration.log_probabilities(samples)
    return log_probs.squeeze(1), labels


def scaled(log_probs: torch.Tensor, temperature: float) -> torch.Tensor:
    """Give the log-probabilities (N, classes) with all logits over a temperature."""
    return (log_probs / temperature).log_softmax(dim=1)


def best_temperature(log_probs: torch.Tensor, labels: torch.Tensor) -> float:
    """Find the temperature of the best likelihood.

    Args:
        log_probs (torch.Tensor): Log-probabilities, float64 (N, classes).
        labels (torch.Tensor): Shape (N,).

    Returns:
        float: The temperature.
    """

    def loss(logarithm: float) -> float:
        temperature = math.exp(logarithm)
        return nn.functional.nll_loss(scaled(log_probs, temperature), labels).item()

    bounds = [math.log(bound) for bound in BOUNDS]
    return math.exp(minimize_scalar(loss, bounds=bounds, method='bounded').x)


def measure(log_probs: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    """Give ``nll_main`` in nats, and ``ece_main`` in percent."""
    metric = Calibration()
    pairs = zip(log_probs.exp(), labels.unsqueeze(1))
    metric.process(None, [dict(pred_score=p, gt_label=label) for p, label in pairs])
    return metric.compute_metrics(metric.results)


def row_of(training: Training, row: dict[str, str]) -> dict:
    """Measure one network.

    Args:
        training (Training): Of the network.
        row (dict[str, str]): What the study has measured of it.

    Returns:
        dict: The temperature, and what is measured with it.

    Raises:
        ValueError: If the study has measured another network.
    """
    checkpoint = training.last_checkpoint
    model = load_trained(training.config_file, checkpoint).model
    of_test = predictions(model, training.settings().val_dataloader)
    for name, value in measure(*of_test).items():
        if not abs(value - float(row[name])) <= NEAR[name]:
            raise ValueError(
                f'{checkpoint}: has {name} {value:.4f}, its row in results.csv '
                f'{row[name]}: it is another network'
            )
    tuning = dataclasses.replace(training, on_test=False)
    of_validation = predictions(model, tuning.settings().val_dataloader)
    temperature = best_temperature(*of_validation)
    numbers = measure(scaled(of_test[0], temperature), of_test[1])
    numbers = {'temperature': temperature, **numbers}
    numbers = {name: round(value, 4) for name, value in numbers.items()}
    unscaled = {UNSCALED: row['nll_main']}
    return {'config': training.name, 'seed': training.seed, **unscaled, **numbers}


def measure_all(folder: Path, finals: list[Training]) -> None:
    """Measure what has been trained, and is not measured yet."""
    csv = folder / 'temperature.csv'
    rows = results.by_run(results.read(folder / 'results.csv'))
    measured = results.by_run(results.read(csv))
    for (name, seed), row in measured.items():
        there = rows.get((name, seed), {}).get('nll_main')
        # Rows of the first version do not say it.
        if (row.get(UNSCALED) or there) != there:
            raise ValueError(
                f'{csv}: {name}, seed {seed}, was measured of another network than its '
                'row in results.csv; remove the file'
            )
    trainings = [
        training
        for training in finals
        if (training.name, training.seed) in rows.keys() - measured.keys()
        and training.last_checkpoint.is_file()
    ]
    for training in track(trainings, 'temperature', lambda t: f'{t.name}, seed {t.seed}'):
        results.add(csv, row_of(training, rows[training.name, training.seed]))


def main() -> None:
    """Measure what is not measured yet, then show all."""
    args = parse_args()
    try:
        study = read_study(args.study, args.out.resolve())
        finals = chosen_finals(study)
        with folder_lock(study.folder):
            measure_all(study.folder, finals)
        measured = results.read(study.folder / 'temperature.csv')
        if not measured:
            raise ValueError(
                f'{args.out}: has no network; compare_methods.py {args.study} --out '
                f'{args.out} trains them'
            )
    except (ValueError, RuntimeError, OSError) as error:
        sys.exit(f'temperature.py: {error}')
    text = tables.calibration_table(measured, [*study.configs]).lstrip()
    with written_at_once(args.out / 'temperature.md') as temporary:
        temporary.write_text(text)
    print(text)


if __name__ == '__main__':
    main()
