"""One TensorBoard chart for all branches."""

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.visualization import TensorboardVisBackend
from mmpretrain.registry import HOOKS

from ...checked_arguments import checked_arguments

# By title of a chart: the pattern of what is in it, whose group is the label there.
CHARTS = {
    'cross-entropy': 'loss_ce_(.+)',
    'mimicking loss': 'loss_mimic_(.+)',
    'validation accuracy (%)': 'branch/(.+)',
    'validation cross-entropy': 'calibration/nll_(.+)',
    'validation divergence, teacher to student': 'divergence/kl_(.+)',
    'divergence, teacher to student': 'kl_(.+)',
    'cosine of gradients, whole loss': 'cosine_(stage.+)',
    'cosine of gradients, cross-entropy': 'cosine_ce_(stage.+)',
    'CKA of features': 'cka_(.+)',
}


@HOOKS.register_module()
@checked_arguments
class BranchChartsHook(Hook):
    """Show what is logged of all branches in one chart each, under *Custom scalars*.

    The numbers are those of the log; without TensorBoard among the visualization backends
    nothing happens.
    """

    @master_only  # of several processes, each would open a file of its own
    def before_train(self, runner: Runner) -> None:
        """Write the layout of the charts."""
        for backend in runner.visualizer._vis_backends.values():
            if isinstance(backend, TensorboardVisBackend):
                charts = {
                    title: ['Multiline', [names]] for title, names in CHARTS.items()
                }
                backend.experiment.add_custom_scalars({'branches': charts})
