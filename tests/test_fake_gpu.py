"""What can be known of a GPU without one: no tensor on the wrong device, nothing waits.

Nothing here computes, and no GPU is used: of a fake tensor PyTorch knows shape, type and
device alone. An operation on tensors of two devices is an error, and so is every look at
a value: on a GPU it waits until all before it has been computed.
"""

from unittest import mock

import pytest
import torch
from mmengine.hooks import LoggerHook
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch._subclasses import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from dhm_plugin import (
    BatchPreprocessor,
    BranchAccuracy,
    CropFlipPreprocessor,
    DeferredRuntimeInfoHook,
    FiniteCheckHook,
    InMemoryDataset,
    MimickingLoss,
)
from dhm_plugin.checkpoints.official import build_without_weights
from paths import ROOT

# One of each family, and one that computes activations again (with_cp).
NETWORKS = {
    'resnet18_dhm_8xb32_in1k': 3,
    'resnet50_dhm_8xb32_in1k': 3,
    'resnet20_dhm_1xb64_digits': 1,
    'resnet32_dhm_1xb128_cifar10': 3,
    'wrn28-10_dhm_1xb128_cifar10': 3,
    'densenet40-12_dhm_1xb64_cifar10': 3,
    'densenet-bc100-12_dhm_1xb64_cifar10': 3,
    'densenet-bc190-40_dhm_1xb64_cifar10': 3,
}
# One of MMPretrain's backbones and one of ours on both stacks.
CONFIGS = [
    pytest.param(config, marks=pytest.mark.one_stack)
    if config not in ('resnet18_dhm_8xb32_in1k', 'resnet20_dhm_1xb64_digits')
    else config
    for config in NETWORKS
]
SMALL = 'resnet20_dhm_1xb64_digits'
FETCH = torch.ops.aten._local_scalar_dense.default
PIN = torch.ops.aten._pin_memory.default


class NothingFetched(TorchDispatchMode):
    """Refuse copies from the GPU to the host, and those to it that wait.

    Fake tensors would allow both. A look at a value of the host, which costs nothing,
    gives 0 where it is not known. Pinned memory is taken from ``pinned``.
    """

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is FETCH and not args[0].is_cuda and args[0].constant is None:
            return 0
        if func is PIN:
            return pinned(args[0])
        out = func(*args, **kwargs)
        copies = func.overloadpacket.__name__ in ('_to_copy', 'copy_')
        source = args[1] if copies and len(args) > 1 else args[0] if copies else None
        if isinstance(source, torch.Tensor) and source.is_cuda != out.is_cuda:
            if source.is_cuda:
                raise RuntimeError(f'{func}: fetched to the host')
            if not (kwargs.get('non_blocking') and hasattr(source, 'in_pinned_memory')):
                raise RuntimeError(f'{func}: the host waits for the copy')
        return out


def pinned(tensor):
    tensor = tensor.clone()
    tensor.in_pinned_memory = True
    return tensor


class Fetched(TorchDispatchMode):
    """Count the looks at values, and answer each with 0."""

    number = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is FETCH:
            self.number += 1
            return 0
        return func(*args, **(kwargs or {}))


@pytest.fixture
def gpu():
    """A GPU for shapes: what is made in it is fake."""
    with FakeTensorMode() as mode:
        yield mode


@pytest.fixture
def network(gpu):
    """Build a network on it; a tensor that is no weight and no buffer stays behind."""

    def build_network(config, **options):
        path = ROOT / f'configs/dhm/{config}.py'
        # The host counts layers while it builds them.
        with _disable_current_modes():
            model = build_without_weights(path, 10)
        for key, value in options.items():
            setattr(model.neck, key, value)
        return moved(model)

    return build_network


def moved(module):
    return module._apply(lambda x: torch.empty(x.shape, dtype=x.dtype, device='cuda'))


def batch(channels, count=4, size=32):
    images = torch.rand(count, channels, size, size, device='cuda')
    labels = torch.zeros(count, dtype=torch.int64, device='cuda')
    return dict(inputs=images, data_samples=[DataSample().set_gt_label(labels)])


def losses_of(model, data):
    with NothingFetched():
        losses = model.train()(**data, mode='loss')
        return model.parse_losses(losses)


@pytest.mark.parametrize('config', CONFIGS)
def test_trains(config, network):
    total, log = losses_of(network(config), batch(NETWORKS[config]))
    assert total.is_cuda
    assert total.requires_grad
    assert len(log) == 7
    assert all(value.is_cuda for value in log.values())


@pytest.mark.parametrize('config', CONFIGS)
def test_the_backward_pass_looks_at_no_value(config):
    """On the meta device: the backward pass of fake tensors needs the GPU itself."""
    model = build_without_weights(ROOT / f'configs/dhm/{config}.py', 10).to('meta')
    images = torch.rand(4, NETWORKS[config], 32, 32, device='meta')
    labels = torch.zeros(4, dtype=torch.int64, device='meta')
    samples = [DataSample().set_gt_label(labels)]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    total, _ = model.parse_losses(model.train()(images, samples, mode='loss'))
    total.backward()
    optimizer.step()
    assert all(p.grad.is_meta for p in model.parameters())
    with pytest.raises(RuntimeError, match='meta tensors'):
        total.item()


@pytest.mark.parametrize('predict_with', ['main', 'side0', 'ensemble'])
@pytest.mark.parametrize('config', CONFIGS)
def test_predicts(config, predict_with, network):
    model = network(config, eval_branches=True).eval()
    model.predict_with = predict_with
    with NothingFetched(), torch.no_grad():
        data = batch(NETWORKS[config])
        data['data_samples'] = [
            DataSample().set_gt_label(label)
            for label in data['data_samples'][0].gt_label.split(1)
        ]
        predictions = model(**data, mode='predict')
    assert len(predictions) == 4
    assert all(sample.pred_score.is_cuda for sample in predictions)


@pytest.mark.parametrize('forked', [[True, False], [False, True], [False, False]])
def test_trains_the_branches_that_are_forked(forked, network):
    model = network(SMALL, fork_probs=[0.5, 0.5])
    with mock.patch.object(model.neck, 'draw_forks', return_value=forked):
        _, log = losses_of(model, batch(1))
    assert sum('ce' in key for key in log) == 1 + sum(forked)


def test_the_forks_are_drawn_on_the_host(network):
    model = network(SMALL, fork_probs=[0.5, 0.5])
    with NothingFetched():
        assert len(model.neck.draw_forks()) == 2


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    'settings',
    [
        dict(),
        dict(temperature=3.0, loss_weight=0.5),
        dict(eps=1e-8),
        dict(temperature=2.0, eps=1e-8),
        dict(students='main', teachers='side'),
        dict(students='side', teachers='main'),
        dict(students='side', teachers='all'),
    ],
)
def test_mimicking_loss(settings, dtype, gpu):
    logits = [torch.rand(4, 10, dtype=dtype, device='cuda') for _ in range(3)]
    with NothingFetched():
        loss = MimickingLoss(**settings)
        for out in (loss(logits), loss.divergences(logits)):
            assert out.is_cuda
            assert out.dtype == torch.float32


@pytest.mark.parametrize('method', ['cal_acc', 'mixed'])
def test_head(method, network):
    model = network(SMALL)
    data = batch(1)
    if method == 'cal_acc':
        model.head.cal_acc = True
    else:
        scores = torch.rand(4, 10, device='cuda')
        data['data_samples'] = [DataSample().set_gt_score(score) for score in scores]
        loss = dict(type='CrossEntropyLoss', use_soft=True)
        model.head.loss_module = MODELS.build(loss)
    losses_of(model, data)


NORMALIZED = dict(mean=[1.0, 2.0, 3.0], std=[4.0, 5.0, 6.0], to_rgb=True)


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('options', [NORMALIZED, {}])
def test_batch_preprocessor(options, training, gpu):
    preprocessor = moved(BatchPreprocessor(**options)).to('cuda')
    images = torch.zeros(4, 3, 32, 32, dtype=torch.uint8)
    for inputs in ([pinned(image) for image in images], pinned(images)):
        samples = [DataSample().set_gt_label(0) for _ in images]
        samples[0].set_gt_label([1, 2])
        samples = [sample.set_gt_score(torch.ones(10)) for sample in samples]
        with NothingFetched():
            out = preprocessor(dict(inputs=inputs, data_samples=samples), training)
        assert out['inputs'].is_cuda
        labels = [sample.gt_label for sample in out['data_samples']]
        assert all(label.is_cuda for label in labels)
        assert [len(label) for label in labels] == [2, 1, 1, 1]
        assert all(sample.gt_score.is_cuda for sample in out['data_samples'])


def test_a_batch_of_a_data_set_on_the_gpu(gpu):
    with _disable_current_modes():
        digits = InMemoryDataset(dict(type='Digits', split='train'))
    digits.images = torch.zeros(9, 8, 8, 1, dtype=torch.uint8, device='cuda')
    digits.labels = torch.zeros(9, dtype=torch.int64, device='cuda')
    with NothingFetched():
        (batch,) = digits.__getitems__([3, 1, 2])
    assert batch['inputs'].is_cuda
    assert batch['data_samples'].gt_label.shape == (3,)


@pytest.fixture
def generator(monkeypatch):
    """PyTorch's generators need the GPU itself; this one says where it should be."""
    host = torch.Generator

    def make(device):
        assert device.type == 'cuda'
        return host()

    monkeypatch.setattr(torch, 'Generator', make)


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('options', [NORMALIZED, dict(to_onehot=True, num_classes=10)])
def test_crop_flip_preprocessor(options, training, gpu, generator):
    preprocessor = CropFlipPreprocessor(32, padding=4, flip_prob=0.5, **options)
    preprocessor = moved(preprocessor).to('cuda')
    images = torch.zeros(4, 32, 32, 3, dtype=torch.uint8, device='cuda')
    labels = torch.zeros(4, dtype=torch.int64, device='cuda')
    sample = DataSample().set_gt_label(labels)
    with NothingFetched():
        out = preprocessor(dict(inputs=[images], data_samples=[sample]), training)
    assert out['inputs'].is_cuda
    assert out['inputs'].shape == (4, 3, 32, 32)
    assert all(sample.gt_label.is_cuda for sample in out['data_samples'])


def test_branch_accuracy(gpu):
    """It fetches its counts, and whether the scores fit, once a batch; all lies there."""
    samples = [
        DataSample(
            branch_logits=torch.rand(3, 10, device='cuda'),
            branch_names=('side0', 'side1', 'main'),
            pred_score=torch.rand(10, device='cuda'),
        ).set_gt_label(torch.zeros(1, dtype=torch.int64, device='cuda'))
        for _ in range(4)
    ]
    metric = BranchAccuracy(topk=(1, 5))
    with Fetched() as fetched:
        metric.process(None, [sample.to_dict() for sample in samples])
    assert len(metric.results) == 4
    assert fetched.number == 4 * (3 + 1) * 2 + 1


def test_the_log_fetches_at_its_lines_alone(network):
    model, hook = network(SMALL), DeferredRuntimeInfoHook()
    runner = mock.MagicMock(hooks=[LoggerHook(interval=2)])
    runner.train_dataloader.__len__.return_value = 100
    hook.before_train(runner)
    _, log = losses_of(model, batch(1))
    with NothingFetched():
        hook.after_train_iter(runner, 0, outputs=log)
        with pytest.raises(ERRORS):
            hook.after_train_iter(runner, 1, outputs=log)


def test_losses_are_looked_at_where_the_log_has_a_line(network):
    hook, data = FiniteCheckHook(), batch(1)
    model = torch.nn.Identity()  # the weights are looked at before the start
    runner = mock.MagicMock(hooks=[LoggerHook(interval=3)], iter=0, model=model)
    runner.train_dataloader.__len__.return_value = 100
    hook.before_train(runner)
    _, log = losses_of(network(SMALL), data)
    with NothingFetched():
        # Floats, which are on the GPU already.
        hook.after_train_iter(runner, 0, data, log)
        hook.after_train_iter(runner, 1, data, log)
        with pytest.raises(ERRORS):
            hook.after_train_iter(runner, 2, data, log)


# The tests above can fail: each of these in the network is an error.
ERRORS = (RuntimeError, AssertionError, NotImplementedError)
HOST = torch.ones(4, 10)
WRONG = {
    'made on the host': lambda x: x + torch.zeros(x.shape),
    'made on the host, in place': lambda x: x.clone().add_(torch.zeros(x.shape)),
    'left on the host': lambda x: x * HOST,
    'item': lambda x: x * x.mean().item(),
    'float': lambda x: x * float(x.mean()),
    'if': lambda x: x if x.mean() > 0 else -x,
    'cpu': lambda x: x + x.mean().cpu(),
    'to': lambda x: x + x.mean().to('cpu'),
    'tolist': lambda x: x * x[0].tolist()[0],
    'nonzero': lambda x: x * x.nonzero().shape[0],
    'mask': lambda x: x + x[x > 0].mean(),
    'isfinite': lambda x: x if torch.isfinite(x).all() else x * 0,
    'unique': lambda x: x * len(x.unique()),
}


@pytest.mark.parametrize('wrong', WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_an_error(wrong, network):
    model, data = network(SMALL), batch(1)
    losses_of(model, data)
    model.head.fc.register_forward_hook(lambda module, inputs, out: wrong(out))
    with pytest.raises(ERRORS):
        losses_of(model, data)
