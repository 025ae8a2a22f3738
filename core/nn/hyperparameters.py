"""Arithmetic on hyperparameters: one number, or a float64 array with one number per network.

A network of a stack gets the same bits as the same network trained alone.
"""

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

Numbers: TypeAlias = tuple[Any, ...]
"""Numbers of an update, each a float or a float64 array `(k, 1)` with one per network."""


def per_network(function: Callable[..., Any], *values: Any) -> Any:
    """Call `function` with plain floats: once for plain `values`, once per network for arrays.

    Returns what `function` returns; for arrays an array of their broadcast shape. A function that
    returns a tuple gives a tuple, with an array for each of its items.
    """
    if not any(isinstance(value, np.ndarray) for value in values):
        return function(*values)
    arrays = np.broadcast_arrays(*values)
    results = [function(*map(float, row)) for row in zip(*(a.flat for a in arrays), strict=True)]
    if isinstance(results[0], tuple):
        columns = zip(*results, strict=True)
        return tuple(np.array(column).reshape(arrays[0].shape) for column in columns)
    return np.array(results).reshape(arrays[0].shape)


def power(base: Any, exponent: float) -> Any:
    """`base ** exponent` for each network."""
    if isinstance(base, np.ndarray):
        return per_network(lambda number: number**exponent, base)
    return base**exponent


def root(square: Any) -> Any:
    """The square root for each network."""
    return np.sqrt(square) if isinstance(square, np.ndarray) else math.sqrt(square)


def broadcast(xp: Any, value: Any, stack: tuple[int, ...], trailing: int, dtype: Any) -> Any:
    """Return a hyperparameter in a shape that broadcasts against arrays `(*stack, ...)`.

    A plain number is returned as it is. An array `(k, 1)` becomes an array of `dtype` and shape
    `(*stack, 1, ..., 1)` with `trailing` axes of length 1.
    """
    if not isinstance(value, np.ndarray):
        return value
    return xp.asarray(value.astype(dtype).reshape(*stack, *(1,) * trailing))
