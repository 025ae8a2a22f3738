"""Arithmetic on hyperparameters: plain numbers, or float64 arrays with one for each network.

What comes out for a network of a stack has the same bits as for the network alone.
"""

import math
from typing import Any

import numpy as np


def power(base: Any, exponent: float) -> Any:
    """`base ** exponent`, a plain number of a plain number."""
    if isinstance(base, np.ndarray):
        return np.array([float(b) ** exponent for b in base.flat]).reshape(base.shape)
    return base**exponent


def root(square: Any) -> Any:
    """The square root, a plain number of a plain number."""
    return np.sqrt(square) if isinstance(square, np.ndarray) else math.sqrt(square)
