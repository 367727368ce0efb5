# The fourth stage of docs/study.md: shorter.
_base_ = 'protocol.py'

iterations = 1500
