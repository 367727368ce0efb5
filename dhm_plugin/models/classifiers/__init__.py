"""Classifiers."""

from .dhm_classifier import DHMClassifier

__all__ = ['DHMClassifier']
