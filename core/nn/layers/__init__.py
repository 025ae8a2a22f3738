"""Layers, one per file."""

from core.family import load

load(__name__, __path__)
