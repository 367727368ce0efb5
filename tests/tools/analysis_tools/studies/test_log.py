import json

import pytest

from studies.log import last_step, read

TRAIN = dict(loss=2.0, time=0.5, data_time=0.1)
VAL = {'accuracy/top1': 50.0, 'time': 9.0, 'time_mean': 9.0}


def write(folder, *rows):
    path = folder / 'vis_data' / 'scalars.json'
    path.parent.mkdir(parents=True)
    path.write_text(''.join(f'{json.dumps(row)}\n' for row in rows))


def test_a_resumed_training_overrides(tmp_path):
    repeated = {**TRAIN, 'loss': 1.0}
    write(tmp_path / '1', {**TRAIN, 'step': 1}, {**VAL, 'step': 1}, {**TRAIN, 'step': 2})
    write(tmp_path / '2', {**repeated, 'step': 2}, {**repeated, 'step': 3})
    assert read(tmp_path) == {
        'loss': [(1, 2.0), (2, 1.0), (3, 1.0)],
        'time': [(1, 0.5), (2, 0.5), (3, 0.5)],  # not the validation's
        'data_time': [(1, 0.1), (2, 0.1), (3, 0.1)],
        'accuracy/top1': [(1, 50.0)],
    }


def test_names_the_folder_without_a_log(tmp_path):
    with pytest.raises(ValueError, match=f'{tmp_path}: there is no log'):
        read(tmp_path)


@pytest.mark.parametrize(
    ('text', 'step'),
    [
        ('/gone/epoch_12.pth', 12),
        ('', 0),
        ('/gone/best_5.pth', 0),
        ('/gone/iter_5.pth', 5),
        (None, 0),
    ],
)
def test_last_step(text, step, tmp_path):
    if text is not None:
        (tmp_path / 'last_checkpoint').write_text(text)
    assert last_step(tmp_path) == step
