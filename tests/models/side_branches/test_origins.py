import torch

from dhm_plugin.models.side_branches.origins import Origins


def test_follows_views_copies_and_what_has_no_gradient():
    a, b = torch.rand(2, 3), torch.rand(2, 3)
    origins = Origins()
    origins.begin('a', [a])
    origins.begin('b', [b])
    with torch.no_grad(), origins:
        other = torch.ones(2, 3)
        detached = other + a.detach().mean()
        written = torch.zeros(2)
        written[:1] = b[0, :1]
        integers = (a.view(3, 2) > 0).long()
        both = a * integers.view(2, 3) + b
        placed = torch.searchsorted(other[0], other[0], sorter=a[0].argsort())
    assert origins.of([other]) == set()
    assert origins.of([detached]) == {'a'}
    assert origins.of([written]) == {'b'}
    assert origins.of([integers]) == {'a'}
    assert origins.of([both]) == {'a', 'b'}
    assert origins.of([placed]) == {'a'}
