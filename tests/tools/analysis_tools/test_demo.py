"""The demo, with one epoch a method."""

from paths import ROOT


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
