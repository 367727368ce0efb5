import math

import pytest
import torch
from mmengine.evaluator import Evaluator

from dhm_plugin import BranchDivergences, MimickingLoss

NAMES = ('side0', 'side1', 'main')


def evaluate(predictions, batch_size):
    evaluator = Evaluator(BranchDivergences())
    for start in range(0, len(predictions), batch_size):
        evaluator.process(predictions[start : start + batch_size])
    return evaluator.evaluate(len(predictions))


def test_agrees_with_sums_over_images_and_classes(predictions):
    sums = {}
    for sample in predictions:
        probs = []
        for logits in sample.branch_logits.tolist():
            exps = [math.exp(z) for z in logits]
            probs.append([each / sum(exps) for each in exps])
        for teacher, p in zip(NAMES, probs):
            for student, q in zip(NAMES, probs):
                if teacher != student:
                    kl = sum(a * math.log(a / b) for a, b in zip(p, q))
                    name = f'kl_{teacher}_{student}'
                    sums[name] = sums.get(name, 0.0) + kl
    expected = {f'divergence/{k}': v / len(predictions) for k, v in sums.items()}
    assert len(expected) == 6
    for batch_size in (200, 64):
        assert evaluate(predictions, batch_size) == pytest.approx(expected, rel=1e-9)


def test_divergences_are_those_of_the_mimicking_loss(predictions):
    logits = torch.stack([sample.branch_logits for sample in predictions], dim=1)
    expected = MimickingLoss().divergences(list(logits.double()))
    ours = evaluate(predictions, 64)
    for j, teacher in enumerate(NAMES):
        for i, student in enumerate(NAMES):
            if j != i:
                value = ours[f'divergence/kl_{teacher}_{student}']
                assert value == pytest.approx(expected[j, i].item())


def test_an_image_that_two_processes_had_counts_once(predictions):
    evaluator = Evaluator(BranchDivergences())
    evaluator.process([*predictions[:7], predictions[0]])
    assert evaluator.evaluate(7) == evaluate(predictions[:7], 7)
