import markdown_table


def test_table():
    table = markdown_table.table(['a', 'b'], ['1', '2'], ['3', '4'])
    assert table == '| a | b |\n| --- | --- |\n| 1 | 2 |\n| 3 | 4 |\n'
