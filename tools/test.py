#!/usr/bin/env python
"""MMPretrain's own tools/test.py, as installed."""

import runpy

from dhm_plugin.stock_tools import stock_tool

if __name__ == '__main__':
    runpy.run_path(stock_tool('test.py'), run_name='__main__')
