"""Random orders that are the same on every machine and with every NumPy version.

NumPy promises stable streams for its bit generators, not for `Generator.permutation`: so the
orders are made by sorting raw Philox words.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray


def words(count: int, seed: int, *purpose: str | int) -> NDArray[np.uint64]:
    """`count` random 64-bit words that depend on nothing but `seed` and `purpose`."""
    name = "/".join(map(str, (seed, *purpose)))
    key = np.frombuffer(hashlib.sha256(name.encode()).digest()[:16], dtype="<u8")
    return np.asarray(np.random.Philox(key=key).random_raw(count), dtype=np.uint64)


def permutation(count: int, seed: int, *purpose: str | int) -> NDArray[np.int64]:
    """The numbers 0 to `count` - 1 in a random order that depends on `seed` and `purpose`.

    `purpose` keeps the streams of one seed apart: `permutation(n, 7, "order", epoch)`.
    """
    order = np.argsort(words(count, seed, *purpose), kind="stable")
    return order.astype(np.int64, copy=False)
