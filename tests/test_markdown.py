from dhm_plugin import markdown


def test_table():
    table = markdown.table(['a', 'b'], ['1', '2'], ['3', '4'])
    assert table == '| a | b |\n| --- | --- |\n| 1 | 2 |\n| 3 | 4 |\n'
