"""Classifiers: the network with its side branches, and without them."""

from .dhm_classifier import DHMClassifier

__all__ = ['DHMClassifier']
