"""Augmentations, one member a file."""

from core.family import load

load(__name__, __path__)
