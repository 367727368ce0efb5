# The second stage of docs/study.md: longer, and the methods that matter.
_base_ = 'protocol.py'

iterations = 25000
