"""The demo, with one epoch a method."""

import demo
import progress
from paths import ROOT


def test_shows_the_epoch_of_the_running_training(monkeypatch, capsys, tmp_path):
    def run(log, script, *arguments, watch):
        for epoch in (3, 25):
            watch()
            (tmp_path / 'dhm/last_checkpoint').write_text(f'epoch_{epoch}.pth')
        watch()

    monkeypatch.setattr(demo, 'run', run)
    monkeypatch.setattr(progress, 'LINES', 0)
    with progress.Progress('training', 75) as shown:
        demo.train('DHM', tmp_path / 'dhm', 25, shown)
    lines = [line.split(', about')[0] for line in capsys.readouterr().err.splitlines()]
    assert lines == [
        'training: DHM, epoch 1 of 25, 67%',
        'training: DHM, epoch 4 of 25, 71%',
        'training: DHM, epoch 25 of 25, 100%',
    ]


def test_demo(python, tmp_path):
    output = python(
        ROOT / 'tools/analysis_tools/demo.py', '--epochs', '1', '--out', tmp_path
    )
    for method in ('DSL', 'DHM'):
        stripped = tmp_path / method.lower() / 'stripped.pth'
        assert f'{method}: {stripped} runs in the plain network' in output
    assert 'all 360 predictions are the same, bit for bit' in output
    table = (tmp_path / 'table.md').read_text()
    assert table in output
    rows = [line.strip('| ').split(' | ') for line in table.splitlines()[2:]]
    assert [row[0] for row in rows] == ['plain', 'DSL', 'DHM']
    assert [row.count('-') for row in rows] == [3, 0, 0]
    for row in rows[1:]:
        assert row[1] == row[4]
    assert (tmp_path / 'curves.png').read_bytes().startswith(b'\x89PNG')
