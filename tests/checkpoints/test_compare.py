import torch

from dhm_plugin.checkpoints.compare import differing_weights


def test_names_what_differs():
    found = {'a': torch.zeros(2), 'b': torch.zeros(2, 3), 'c': torch.zeros(())}
    expected = {'a': torch.ones(2), 'b': torch.zeros(3, 2), 'd': torch.zeros(4)}
    assert differing_weights(found, found) == []
    assert differing_weights(found, expected) == [
        'b is (2, 3), it must be (3, 2)',
        'd is missing, it must be (4,)',
        'c is (), it must be absent',
    ]
