import torch

from dhm_plugin.models.classifiers.predictions import predictions


def test_keep_no_graph():
    logits = {name: torch.rand(2, 3, requires_grad=True) for name in ('side0', 'main')}
    for sample in predictions(logits['main'], logits, None):
        assert sample.branch_names == ('side0', 'main')
        assert not sample.branch_logits.requires_grad
