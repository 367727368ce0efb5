import pytest
import torch
import torch.nn.functional as F
from mmpretrain.models import LabelSmoothLoss
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

from dhm_plugin import MimickingLoss, MultiBranchClsHead

GENERATOR = torch.Generator().manual_seed(0)
FEATS = tuple(torch.randn(4, width, generator=GENERATOR) for width in (5, 6, 7))
LABELS = torch.tensor([0, 2, 1, 2])


def make_head(**options):
    torch.manual_seed(0)
    return MultiBranchClsHead(
        num_classes=3, in_channels=7, side_in_channels=(5, 6), **options
    )


def labelled(labels=LABELS):
    return [DataSample().set_gt_label(int(label)) for label in labels]


def test_losses_of_dhm():
    head = make_head(mimicking_loss=dict(type='MimickingLoss', temperature=2.0))
    losses = head.loss(FEATS, labelled())
    logits = [head.side_fcs[0](FEATS[0]), head.side_fcs[1](FEATS[1]), head.fc(FEATS[2])]
    mimicking = MimickingLoss(temperature=2.0)(logits)
    names = ('side0', 'side1', 'main')
    assert set(losses) == {f'loss_{kind}_{n}' for kind in ('ce', 'mimic') for n in names}
    for i, name in enumerate(names):
        expected = F.cross_entropy(logits[i], LABELS)
        torch.testing.assert_close(losses[f'loss_ce_{name}'], expected)
        torch.testing.assert_close(losses[f'loss_mimic_{name}'], mimicking[i])


def test_without_mimicking_it_is_dsl():
    losses = make_head().loss(FEATS, labelled())
    assert set(losses) == {'loss_ce_side0', 'loss_ce_side1', 'loss_ce_main'}


def test_label_smoothing():
    smooth = dict(type='LabelSmoothLoss', label_smooth_val=0.1, num_classes=3)
    head = make_head(loss=smooth)
    losses = head.loss(FEATS, labelled())
    for name, logits in head.branch_logits(FEATS).items():
        expected = F.cross_entropy(logits, LABELS, label_smoothing=0.1)
        torch.testing.assert_close(losses[f'loss_ce_{name}'], expected)
    assert isinstance(head.loss_module, LabelSmoothLoss)


@pytest.mark.parametrize('augment', ['Mixup', 'CutMix'])
def test_soft_targets_of_batch_augmentations(augment):
    torch.manual_seed(0)
    preprocessor = MODELS.build(
        dict(
            type='ClsDataPreprocessor',
            num_classes=3,
            batch_augments=dict(augments=[dict(type=augment, alpha=1.0)]),
        )
    )
    data = dict(inputs=torch.rand(4, 3, 8, 8), data_samples=labelled())
    samples = preprocessor(data, training=True)['data_samples']
    targets = torch.stack([sample.gt_score for sample in samples])
    assert ((targets > 0) & (targets < 1)).any()
    head = make_head(mimicking_loss=dict(type='MimickingLoss'))
    losses = head.loss(FEATS, samples)
    for name, logits in head.branch_logits(FEATS).items():
        expected = F.cross_entropy(logits, targets)
        torch.testing.assert_close(losses[f'loss_ce_{name}'], expected)


def test_main_branch_alone():
    head = make_head(mimicking_loss=dict(type='MimickingLoss'))
    assert set(head.loss(FEATS[-1:], labelled())) == {'loss_ce_main'}
    torch.testing.assert_close(head(FEATS), head.fc(FEATS[-1]))
    predictions = head.predict(FEATS)
    expected = head.fc(FEATS[-1]).argmax(dim=1)
    assert [int(p.pred_label) for p in predictions] == expected.tolist()


def test_refuses_the_accuracy_of_mixed_labels():
    samples = [DataSample().set_gt_score(torch.full((3,), 1 / 3)) for _ in LABELS]
    with pytest.raises(ValueError, match='has cal_acc=True, but a batch augmentation'):
        make_head(cal_acc=True).loss(FEATS, samples)


def test_switch_to_deploy_leaves_the_stock_keys():
    head = make_head(mimicking_loss=dict(type='MimickingLoss'))
    head.switch_to_deploy()
    stock = MODELS.build(dict(type='LinearClsHead', num_classes=3, in_channels=7))
    assert list(head.state_dict()) == list(stock.state_dict())
    assert set(head.loss(FEATS[-1:], labelled())) == {'loss_ce_main'}


def test_an_unforked_branch_neither_teaches_nor_learns():
    head = make_head(mimicking_loss=dict(type='MimickingLoss'))
    losses = head.loss((FEATS[0], None, FEATS[2]), labelled())
    logits = [head.side_fcs[0](FEATS[0]), head.fc(FEATS[2])]
    side0, main = MimickingLoss()(logits)
    assert set(losses) == {
        f'loss_{kind}_{name}' for kind in ('ce', 'mimic') for name in ('side0', 'main')
    }
    torch.testing.assert_close(losses['loss_mimic_side0'], side0)
    torch.testing.assert_close(losses['loss_mimic_main'], main)
    assert set(head.loss((None, None, FEATS[2]), labelled())) == {'loss_ce_main'}


@pytest.mark.parametrize(
    'loss',
    [
        dict(type='CrossEntropyLoss', use_sigmoid=True),
        dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='multi_label'),
        dict(type='AsymmetricLoss'),
        dict(type='FocalLoss'),
    ],
)
def test_refuses_a_loss_of_independent_classes(loss):
    with pytest.raises(ValueError, match=r'takes each class on its own \(sigmoid\)'):
        make_head(loss=loss, mimicking_loss=dict(type='MimickingLoss'))
    make_head(loss=loss)  # DSL compares no probabilities


def test_a_mimicking_loss_of_ones_own():
    class Nearness(torch.nn.Module):
        def forward(self, logits):
            return torch.stack([(z - logits[-1]).square().mean() for z in logits])

    losses = make_head(mimicking_loss=Nearness()).loss(FEATS, labelled())
    assert losses['loss_mimic_side0'] > 0
    assert losses['loss_mimic_main'] == 0


def test_refuses_a_mimicking_loss_without_pairs():
    loss = dict(type='MimickingLoss', students='side', teachers='side')
    make_head(mimicking_loss=loss)
    with pytest.raises(ValueError, match=r"no pair of the branches \('side0', 'main'\)"):
        MultiBranchClsHead(3, 7, side_in_channels=(5,), mimicking_loss=loss)


def test_refuses_branches_that_do_not_fit():
    with pytest.raises(ValueError, match='side_in_channels is empty'):
        MultiBranchClsHead(num_classes=3, in_channels=7, side_in_channels=())
    head = make_head()
    for channels in ((5,), (6, 6), (5, 6, 7)):
        with pytest.raises(ValueError, match=r'side_in_channels=\[5, 6\], .* end with'):
            head.check_side_channels(channels)
    with pytest.raises(ValueError, match='ends with 6 channels; set in_channels=6'):
        head.check_main_channels(6)


def test_each_accuracy_is_of_its_own_k():
    head = make_head(cal_acc=True, topk=(1, 2))
    torch.nn.init.constant_(head.fc.bias, -10.0)  # negative logits count as others do
    losses = head.loss(FEATS, labelled())
    for name, z in head.branch_logits(FEATS).items():
        for k in (1, 2):
            right = (z.topk(k).indices == LABELS[:, None]).any(1).float().mean() * 100
            torch.testing.assert_close(losses[f'accuracy_top-{k}_{name}'], right)
    assert any(
        losses[f'accuracy_top-1_{name}'] != losses[f'accuracy_top-2_{name}']
        for name in head.branch_names
    )
    assert 'accuracy_top-1_main' in make_head(cal_acc=True, topk=1).loss(
        FEATS, labelled()
    )


def test_initialization():
    """That of MMPretrain's LinearClsHead."""
    head = MultiBranchClsHead(100, 100, side_in_channels=(100,))
    head.init_weights()
    for classifier in (head.fc, *head.side_fcs):
        assert classifier.weight.std().item() == pytest.approx(0.01, rel=0.1)
        assert not classifier.bias.any()
