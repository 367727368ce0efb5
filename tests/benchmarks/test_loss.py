import torch

from dhm_plugin.benchmarks import loss


def test_both_compute_the_same():
    logits = [torch.randn(16, 10, dtype=torch.float64) for _ in range(3)]
    target = torch.arange(16) % 10
    torch.testing.assert_close(
        loss.ours(logits, target), loss.pairwise(logits, target), rtol=1e-6, atol=1e-7
    )
