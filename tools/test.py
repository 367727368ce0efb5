#!/usr/bin/env python
"""MMPretrain's own tools/test.py, as installed."""

from run_stock import run_stock

if __name__ == '__main__':
    run_stock('test.py')
