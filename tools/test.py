#!/usr/bin/env python
"""MMPretrain's own tools/test.py, as installed."""

from dhm_plugin.stock_script import run_stock

if __name__ == '__main__':
    run_stock('test.py')
