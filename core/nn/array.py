"""The array seam: NumPy on a CPU, CuPy on a GPU. The only file that knows both."""

import importlib
import math
from collections.abc import Sequence
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
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
            f"device {device!r} was asked for, but CuPy finds no GPU on this machine"
        )
    if ":" in device:
        cupy.cuda.Device(int(device.partition(":")[2])).use()
    return cupy


def to_host(array: Array) -> Array:
    """A NumPy array with the numbers of `array`, copied from the device if they are there."""
    if type(array) is np.ndarray:
        return array
    return array.get() if hasattr(array, "get") else np.asarray(array)


def all_finite(xp: ModuleType, array: Array) -> bool:
    """Whether no number is NaN or infinite; asks the device if the array is there."""
    if isinstance(array, np.floating):  # a single number on the host: many times faster
        return math.isfinite(array)
    return bool(to_host(xp.isfinite(array).all()))


def generators(seeds: Sequence[int], purpose: int) -> list[np.random.Generator]:
    """One independent random generator a network, from its seed and what it is used for."""
    return [
        np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, purpose])))
        for seed in seeds
    ]
