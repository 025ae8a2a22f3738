"""The array library: NumPy on a CPU, CuPy on a GPU. No other file imports CuPy."""

import importlib
import math
from collections.abc import Sequence
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Arrays: TypeAlias = tuple[Array, ...]
Shape: TypeAlias = tuple[int, ...]
Precision: TypeAlias = str


def namespace(device: str) -> ModuleType:
    """The array library of a device: `cpu` is NumPy, `gpu` or `cuda:N` is CuPy.

    Raises ImportError when CuPy is not installed, RuntimeError when it finds no GPU.
    """
    if device == "cpu":
        return np
    cupy = importlib.import_module("cupy")
    if not cupy.is_available():
        raise RuntimeError(
            f"device {device!r} was requested, but CuPy finds no GPU on this machine"
        )
    if ":" in device:
        cupy.cuda.Device(int(device.partition(":")[2])).use()
    return cupy


def to_host(array: Array) -> Array:
    """Return `array` as a NumPy array; copies it when it is on a GPU."""
    if type(array) is np.ndarray:
        return array
    return array.get() if hasattr(array, "get") else np.asarray(array)


def all_finite(xp: ModuleType, array: Array) -> bool:
    """Whether `array` holds no NaN or infinity; synchronizes with the GPU if it is there."""
    if isinstance(array, np.floating):  # a NumPy scalar: much faster
        return math.isfinite(array)
    return bool(to_host(xp.isfinite(array).all()))


def generators(seeds: Sequence[int], purpose: int) -> list[np.random.Generator]:
    """One random generator per network, independent for each seed and `purpose`."""
    return [
        np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, purpose])))
        for seed in seeds
    ]
