"""Trained networks for other programs: the main branch alone, checked."""

from .export import FORMATS, export

__all__ = ['FORMATS', 'export']
