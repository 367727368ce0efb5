"""Networks on the meta device, which computes shapes alone."""

import pytest
import torch
from torch import nn

from dhm_plugin.models.side_branches.meta import run_on_meta, trace


class Shared(nn.Module):
    """Two blocks that use one module, as EVA-02's use one rotary embedding."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.blocks = nn.ModuleList(nn.Conv2d(3, 3, 1) for _ in range(2))
        for block in self.blocks:
            block.norm = self.norm
        self.blocks[1].weight = self.blocks[0].weight  # and one weight

    def forward(self, x):
        for block in self.blocks:
            x = block.norm(block(x))
        return x


@pytest.mark.parametrize('training', [True, False])
def test_a_network_stays_as_it_is(training):
    network = Shared().train(training)
    state = {name: value.clone() for name, value in network.state_dict().items()}
    parameters = dict(network.named_parameters())
    output, twins = run_on_meta(network, torch.empty(2, 3, 4, 4, device='meta'))
    assert output.is_meta
    assert output.shape == (2, 3, 4, 4)
    assert set(parameters) < set(twins)  # the shared weight has both of its names
    assert all(value.is_meta for value in twins.values())
    assert twins['blocks.0.weight'] is twins['blocks.1.weight']
    for name, value in network.state_dict().items():
        assert torch.equal(value, state[name]), name
    for name, value in network.named_parameters():
        assert value is parameters[name]
    assert network.training is training
    assert network(torch.randn(2, 3, 4, 4)).isfinite().all()


@pytest.mark.parametrize(
    'norm',
    [
        nn.BatchNorm2d(3),
        nn.BatchNorm2d(3, affine=False),
        nn.LayerNorm(4),
        nn.LayerNorm(4, bias=False),
        nn.LayerNorm(4, elementwise_affine=False),
    ],
    ids=str,
)
def test_a_norm_depends_on_what_it_depends_on(norm):
    x = torch.empty(2, 3, 4, 4, device='meta', requires_grad=True).mT
    output, parameters = run_on_meta(nn.Sequential(norm), x)
    expected = norm(torch.empty(2, 3, 4, 4).mT)
    assert (output.shape, output.stride()) == (expected.shape, expected.stride())
    gradients = torch.autograd.grad(output.sum(), [x, *parameters.values()])
    assert [g.shape for g in gradients] == [
        x.shape,
        *(p.shape for p in norm.parameters()),
    ]
    assert 'forward' not in vars(norm)


@pytest.mark.parametrize('option', ['with_cp', 'memory_efficient', 'use_checkpoint'])
def test_nothing_is_checkpointed(option):
    network = nn.Conv2d(3, 3, 1)
    setattr(network, option, True)
    seen = []
    network.register_forward_hook(lambda *_: seen.append(getattr(network, option)))
    run_on_meta(network, torch.empty(2, 3, 4, 4, device='meta'))
    assert seen == [False]
    assert getattr(network, option) is True


def test_the_size_and_the_channels_of_the_images_are_found():
    class OfOneSize(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 8, 8, 8)
            self.fc = nn.Linear(8 * 4 * 4, 2)

        def forward(self, x):
            return self.fc(self.conv(x).flatten(1))

    calls, images, output = trace(OfOneSize())
    assert images.shape == (7, 1, 32, 32)
    assert output.shape == (7, 2)
    assert [call.name for call in calls] == ['conv', 'fc']


@pytest.mark.parametrize('size', [40, (40, 24)])
def test_a_network_that_says_its_size_gets_it(size):
    class Sized(nn.Module):
        def __init__(self):
            super().__init__()
            self.img_size = size

        def forward(self, x):
            if tuple(x.shape[2:]) not in ((40, 40), (40, 24)):
                raise ValueError('another size')
            return x

    _, images, _ = trace(Sized())
    assert images.shape == (7, 3, 40, 40 if size == 40 else 24)


def test_refuses_what_does_not_run():
    class OnData(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(ValueError, match='meta'):
        trace(OnData())
