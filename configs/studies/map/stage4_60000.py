# The fourth stage of docs/study.md: longer than all others.
_base_ = 'protocol.py'

iterations = 60000
