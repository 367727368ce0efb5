#!/usr/bin/env python
"""Train with side branches in plain PyTorch, and drop them: no config, no runner."""

import torch
from sklearn.datasets import load_digits
from torch import nn

from dhm_plugin import CIFARResNet, MimickingLoss, MultiBranchClsHead, SideBranchNeck

# 1,797 images of digits, 8x8 pixels of 0 to 16; the last 360 are the test images.
torch.manual_seed(0)
digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16
labels = torch.tensor(digits.target)
train_images, train_labels = images[:-360], labels[:-360]
test_images, test_labels = images[-360:], labels[-360:]

# The backbone gives the maps of its three stages, with 16, 32 and 64 channels. side0 is
# forked from the first and side1 from the second; each is a shorter rest of the network.
backbone = CIFARResNet(depth=8, in_channels=1, out_indices=(0, 1, 2))
stage = dict(type='CIFARResNetStage', num_blocks=1)
side0 = [
    dict(in_channels=16, out_channels=32, **stage),
    dict(in_channels=32, out_channels=64, **stage),
]
side1 = [dict(in_channels=32, out_channels=128, **stage)]
neck = SideBranchNeck([dict(stages=side0), dict(stages=side1)])
head = MultiBranchClsHead(
    num_classes=10,
    in_channels=64,
    side_in_channels=neck.side_channels,
    mimicking_loss=MimickingLoss(temperature=1.0),  # None: deep supervision (DSL)
)
network = nn.ModuleList([backbone, neck, head])
optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)

network.train()
for epoch in range(3):
    for batch in torch.randperm(len(train_images)).split(128):
        maps = backbone(train_images[batch])  # shallow to deep
        feats = neck(maps)  # pooled, one a branch, the main branch's last
        logits = head.branch_logits(feats)  # by the branch's name
        # sum_i CE(z_i, y) + sum_{i != j} KL(softmax(z_j) || softmax(z_i)), z_j detached
        losses = head.objective(logits, train_labels[batch])
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
    terms = ', '.join(f'{name} {loss:.3f}' for name, loss in losses.items())
    print(f'epoch {epoch + 1}: {terms}')


def predict() -> torch.Tensor:
    """Classify the test images with the main branch: logits (360, 10)."""
    with torch.no_grad():
        return head(neck(backbone(test_images)))


network.eval()  # from here on no side branch runs
before, size = predict(), sum(p.numel() for p in network.parameters())
neck.switch_to_deploy()
head.switch_to_deploy()
after, plain_size = predict(), sum(p.numel() for p in network.parameters())

accuracy = (after.argmax(1) == test_labels).double().mean().item()
print(f'{accuracy:.1%} of the test images, without side branches')
print(f'{size:,} parameters in training, {plain_size:,} of the plain network')
print(f'largest difference of the logits: {(after - before).abs().max():.1g}')
