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


def test_a_line_that_a_kill_has_cut(tmp_path):
    write(tmp_path / '1', {**TRAIN, 'step': 1}, {**TRAIN, 'step': 2})
    write(tmp_path / '2', {**TRAIN, 'step': 2}, {**TRAIN, 'step': 3})
    path = tmp_path / '1' / 'vis_data' / 'scalars.json'
    whole = path.read_bytes()
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        first = [(1, 2.0)] if length >= whole.index(b'\n') else []
        assert read(tmp_path)['loss'] == [*first, (2, 2.0), (3, 2.0)]


@pytest.mark.parametrize('damage', [b'{"loss": 2', b'2', b'\0', b'\xff'])
def test_names_the_line_that_is_damaged(damage, tmp_path):
    write(tmp_path / '1', {**TRAIN, 'step': 1}, {**TRAIN, 'step': 2})
    path = tmp_path / '1' / 'vis_data' / 'scalars.json'
    first, second, end = path.read_bytes().split(b'\n')
    path.write_bytes(b'\n'.join([first, damage, second, end]))
    with pytest.raises(ValueError, match=f'^{path}, line 2: is damaged: '):
        read(tmp_path)


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
        # What a power cut may leave.
        (b'\xff\0', 0),
    ],
)
def test_last_step(text, step, tmp_path):
    if text is not None:
        text = text if isinstance(text, bytes) else text.encode()
        (tmp_path / 'last_checkpoint').write_bytes(text)
    assert last_step(tmp_path) == step
