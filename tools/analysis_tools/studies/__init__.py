"""Trains several configs over several seeds, and compares what comes out."""
