import copy
from types import SimpleNamespace

import pytest
import torch

from dhm_plugin import Digits, InfinitePartSampler, InMemoryDataset, WrongLabelsHook
from process_group import run_in_two


def runner_of(dataset, seed=0, num_workers=0):
    loader = SimpleNamespace(dataset=dataset, num_workers=num_workers)
    model = SimpleNamespace(head=SimpleNamespace(num_classes=10))
    return SimpleNamespace(train_dataloader=loader, model=model, seed=seed)


@pytest.fixture(scope='module')
def drawn():
    """Give the labels of the digits, without and with noise."""
    digits = InMemoryDataset(Digits('train'))

    def labels(seed, share=0.2):
        dataset = copy.copy(digits)
        dataset.labels = digits.labels.clone()
        WrongLabelsHook(share).before_train(runner_of(dataset, seed))
        return digits.labels, dataset.labels

    return labels


def test_a_share_is_wrong_and_drawn_from_the_seed(drawn):
    right, first = drawn(0)
    assert int((right != first).sum()) == round(0.2 * len(right))
    assert torch.equal(drawn(0)[1], first)
    assert not torch.equal(drawn(1)[1], first)


def test_each_other_class_is_as_probable(drawn):
    counts = torch.zeros(10, dtype=torch.long)
    for seed in range(20):
        right, found = drawn(seed, share=0.9)
        shifts = (found - right) % 10
        counts += torch.bincount(shifts, minlength=10)
    number = round(0.9 * 1437) * 20
    assert counts[0] == 20 * 1437 - number
    # Within five standard deviations.
    share = counts[1:] / number
    assert ((share - 1 / 9).abs() < 5 * (1 / 9 * 8 / 9 / number) ** 0.5).all()


def test_a_part_has_the_same_share(drawn):
    for seed in range(5):
        right, found = drawn(seed)
        part = InfinitePartSampler(right, images=400, seed=seed).part
        wrong = (right != found)[part].float().mean()
        # The standard deviation of the share is 0.017.
        assert 0.12 < wrong < 0.28


def test_refuses_what_it_cannot_change():
    for share in (0, 1, -0.2, 20):
        with pytest.raises(ValueError, match=f'WrongLabelsHook: share={share}; it must'):
            WrongLabelsHook(share)
    with pytest.raises(TypeError, match='is a Digits; it must be an InMemoryDataset'):
        WrongLabelsHook(0.2).before_train(runner_of(Digits('train')))
    dataset = InMemoryDataset(Digits('train'))
    with pytest.raises(ValueError, match='has num_workers=2; it must have 0'):
        WrongLabelsHook(0.2).before_train(runner_of(dataset, num_workers=2))


@pytest.mark.parametrize('method', ['plain', 'dhm'])
def test_trains_with_them_and_validates_without(train, method):
    hook = {'default_hooks.wrong_labels': dict(type='WrongLabelsHook', share=0.2)}
    runner = train(method, method, **hook)
    dataset = runner.train_dataloader.dataset
    right = torch.tensor([dataset.dataset[i]['gt_label'] for i in range(717)])
    assert int((right != dataset.labels).sum()) == round(0.2 * 717)
    batch = dataset.__getitems__(range(717))[0]['data_samples'].gt_label
    assert torch.equal(batch, dataset.labels)
    # Seen: one by one, as with a pipeline that SwitchRecipeHook sets, they were right.
    singles = [int(dataset[i]['data_samples'].gt_label) for i in range(717)]
    assert singles == dataset.labels.tolist()
    # Whatever the network, and whatever it has drawn.
    other = InMemoryDataset(Digits('train', indices=717))
    WrongLabelsHook(0.2).before_train(runner_of(other, seed=0))
    assert torch.equal(other.labels, dataset.labels)
    clean = Digits('test')
    validated = runner.val_dataloader.dataset
    for index in range(len(clean)):
        label = validated[index]['data_samples'].gt_label
        assert int(label) == clean.get_data_info(index)['gt_label']


def _process(rank, folder):
    dataset = InMemoryDataset(Digits('train'))
    # As MMEngine's diff_rank_seed sets it.
    WrongLabelsHook(0.2).before_train(runner_of(dataset, seed=rank))
    torch.save(dataset.labels, folder / f'{rank}.pth')


def test_all_processes_have_the_same_wrong_labels(tmp_path, drawn):
    run_in_two(_process, tmp_path)
    for rank in range(2):
        assert torch.equal(torch.load(tmp_path / f'{rank}.pth'), drawn(0)[1])
