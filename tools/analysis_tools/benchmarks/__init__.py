"""Measures ours against a reference, in the same run."""
