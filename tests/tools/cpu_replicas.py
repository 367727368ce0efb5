"""Imported by the configs of the tests: several processes on one CPU."""

import atexit

import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS

if not torch.cuda.is_available():
    # MMEngine's launcher sets the GPU before it looks whether there is one.
    torch.cuda.set_device = lambda device: None


@atexit.register
def _leave_the_group():
    """Gloo's threads abort the process if they outlive the interpreter."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


@HOOKS.register_module()
class SaveReplicaHook(Hook):
    """Save the parameters of every process before and after the training."""

    def _save(self, runner, when):
        parameters = dict(runner.model.module.named_parameters())
        torch.save(parameters, f'{runner.work_dir}/{when}_{get_rank()}.pth')

    def before_train(self, runner):
        self._save(runner, 'before')

    def after_train(self, runner):
        self._save(runner, 'after')


@HOOKS.register_module()
class SaveForksHook(Hook):
    """Save which side branches every process has forked, iteration by iteration."""

    def before_train(self, runner):
        self.forks = []
        forking = runner.model.module.branches_module
        draw = forking.draw_forks
        forking.draw_forks = lambda: self.forks.append(draw()) or self.forks[-1]

    def after_train(self, runner):
        torch.save(self.forks, f'{runner.work_dir}/forks_{get_rank()}.pth')
