"""A training of milliseconds, for what happens around a network."""

import itertools

import torch
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn

from checkpoint_entries import differing

# After each iteration.
SCORES = [0.0, 0.1, 0.5, 0.4, 0.6, 0.6, 0.3, 0.9, 0.8]

NUMBERS = itertools.count()


class Killed(BaseException):
    """As if the process were killed."""


def different(folder, other):
    """Give the entries in which the checkpoints of two folders differ."""
    names = {path.name for of in (folder, other) for path in of.glob('*.pth')}
    found = {name: differing(folder / name, other / name) for name in sorted(names)}
    return {name: places for name, places in found.items() if places}


class Tiny(BaseModel):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 1)
        nn.init.ones_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        self.register_buffer('steps', torch.zeros((), dtype=torch.long))
        # More than a full disk takes.
        self.register_buffer('ballast', torch.zeros(30_000))

    def forward(self, x, mode='tensor'):
        if mode == 'predict':
            return [SCORES[self.steps]] * len(x)
        self.steps += 1
        return dict(loss=self.linear(x).square().mean())


class Score(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results += data_samples

    def compute_metrics(self, results):
        return {'accuracy/top1': sum(results) / len(results)}


def runner(folder, epochs=4, images=2, resume=False, checkpoint=None, **options):
    """Give a runner, with an iteration for each two images of an epoch."""
    images = torch.arange(2.0 * images).view(-1, 2) / 10
    loader = dict(
        batch_size=2,
        num_workers=0,
        dataset=[dict(x=image) for image in images],
        sampler=dict(type='DefaultSampler', shuffle=False),
        collate_fn=dict(type='default_collate'),
    )
    hook = dict(
        type='CheckpointHook', interval=1, max_keep_ckpts=1, save_best='accuracy/top1'
    )
    return Runner(
        **{
            'model': Tiny(),
            'work_dir': str(folder),
            'train_dataloader': loader,
            'val_dataloader': loader,
            'train_cfg': dict(by_epoch=True, max_epochs=epochs),
            'val_cfg': dict(),
            'val_evaluator': [Score()],
            'optim_wrapper': dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9)),
            'default_hooks': dict(checkpoint={**hook, **(checkpoint or {})}),
            'randomness': dict(seed=0),
            'resume': resume,
            'default_scope': 'mmpretrain',
            'log_level': 'WARNING',
            # Those of the same name share their logs in memory.
            'experiment_name': str(next(NUMBERS)),
            **options,
        }
    )
