from types import SimpleNamespace

import pytest
import torch
from mmengine.model import MMDistributedDataParallel
from torch import nn

from dhm_plugin import ChannelsLastHook


@pytest.mark.parametrize('method', ['plain', 'dhm'])
def test_trains_as_in_the_default_layout(method, train, history, tmp_path):
    reference = train('reference', method)
    runner = train('channels_last', method, channels_last=True)
    torch.testing.assert_close(history(runner), history(reference), rtol=1e-4, atol=1e-5)
    convs = [p for p in runner.model.parameters() if p.ndim == 4 and p.shape[1] > 1]
    assert convs
    assert all(
        weight.is_contiguous(memory_format=torch.channels_last) for weight in convs
    )
    # The 3x3 convolutions of what was trained and saved, as any other checkpoint's.
    path = tmp_path / 'channels_last' / 'epoch_1.pth'
    saved = torch.load(path, weights_only=True)['state_dict']
    assert saved.keys() == runner.model.state_dict().keys()
    assert saved._metadata == runner.model.state_dict()._metadata
    assert all(tensor.is_contiguous() for tensor in saved.values())
    for key, tensor in runner.model.state_dict().items():
        assert torch.equal(tensor, saved[key])


def test_resumes_from_either_layout(train, history, tmp_path):
    """A fused optimizer goes wrong, silently, if weights and momenta lie differently."""
    fused = {'optim_wrapper.optimizer.fused': True, 'param_scheduler': []}
    train('first', **fused)
    checkpoint = str(tmp_path / 'first' / 'epoch_1.pth')
    saved = torch.load(checkpoint, weights_only=True)
    momenta = [state['momentum_buffer'] for state in saved['optimizer']['state'].values()]
    assert all(momentum.is_contiguous() for momentum in momenta)
    losses = []
    for channels_last in (False, True):
        resumed = train(
            f'resumed{channels_last}',
            channels_last=channels_last,
            **fused,
            **{'resume': True, 'load_from': checkpoint, 'train_cfg.max_epochs': 2},
        )
        losses.append(history(resumed)[3:])
        again = torch.load(
            tmp_path / f'resumed{channels_last}' / 'epoch_2.pth', weights_only=True
        )
        state = again['optimizer']['state'].values()
        assert all(slot['momentum_buffer'].is_contiguous() for slot in state)
    assert len(losses[0]) == 3
    torch.testing.assert_close(losses[1], losses[0], rtol=1e-4, atol=1e-5)


def test_leaves_state_of_other_shapes_as_it_is():
    """Seen: factors of Adafactor were broadcast to the weight's shape, and went wrong."""
    network = nn.Conv2d(3, 4, 3)
    optimizer = torch.optim.Adafactor(network.parameters())
    network(torch.rand(2, 3, 8, 8)).sum().backward()
    optimizer.step()
    before = {k: torch.clone(v) for k, v in optimizer.state[network.weight].items()}
    assert before['row_var'].shape == (4, 3, 3, 1)
    wrapper = SimpleNamespace(optimizer=optimizer)
    ChannelsLastHook().before_train(SimpleNamespace(model=network, optim_wrapper=wrapper))
    for key, value in optimizer.state[network.weight].items():
        assert torch.equal(value, before[key])


@pytest.fixture
def gloo(tmp_path):
    """A group of this process alone."""
    method = f'file://{tmp_path}/group'
    torch.distributed.init_process_group('gloo', init_method=method, rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def test_what_compresses_gradients_goes_on(gloo):
    """Seen: it was dropped without a word."""
    calls = []

    def compress(state, bucket):
        calls.append(state)
        future = torch.futures.Future()
        future.set_result(bucket.buffer())
        return future

    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3))
    model = MMDistributedDataParallel(network)
    model.register_comm_hook('state', compress)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    wrapper = SimpleNamespace(optimizer=optimizer)
    ChannelsLastHook().before_train(SimpleNamespace(model=model, optim_wrapper=wrapper))
    model(torch.rand(2, 3, 8, 8)).sum().backward()
    assert calls == ['state']


@pytest.mark.parametrize('when', ['before_val', 'before_test'])
def test_a_validation_or_a_test_alone_is_too(when):
    network = nn.Conv2d(3, 4, 3)
    getattr(ChannelsLastHook(), when)(SimpleNamespace(model=network))
    assert network.weight.is_contiguous(memory_format=torch.channels_last)
    assert not network.weight.is_contiguous()


def test_averaged_weights_are_saved_as_any_others():
    weight = torch.rand(4, 3, 3, 3).to(memory_format=torch.channels_last)
    checkpoint = dict(state_dict={}, ema_state_dict={'module.weight': weight})
    ChannelsLastHook().before_save_checkpoint(None, checkpoint)
    saved = checkpoint['ema_state_dict']['module.weight']
    assert saved.is_contiguous()
    assert torch.equal(saved, weight)


def test_feature_maps_are_channels_last(train):
    runner = train('channels_last', channels_last=True)
    maps = runner.model.backbone(torch.rand(4, 1, 8, 8))
    assert all(m.is_contiguous(memory_format=torch.channels_last) for m in maps)
