"""The searches that are compared: data, network, epochs, and the values that are searched."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits, load_iris


@dataclass(frozen=True)
class Case:
    """A network of one hidden layer, trained with Adam; the learning rate and seed are searched."""

    name: str
    inputs: int
    hidden: int
    classes: int
    batch: int
    epochs: int

    def data(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Features, standardised, and classes."""
        x, y = (load_digits if self.name == "digits" else load_iris)(return_X_y=True)
        scaled = (x - x.mean(axis=0)) / np.where(x.std(axis=0) > 0, x.std(axis=0), 1)
        return scaled.astype(np.float32), y.astype(np.int64)

    def halves(self) -> tuple[Any, Any, Any, Any]:
        """Training features and classes, four fifths of the rows, then those of validation."""
        x, y = self.data()
        order = np.random.default_rng(0).permutation(len(y))
        cut = round(0.8 * len(y))
        return x[order[:cut]], y[order[:cut]], x[order[cut:]], y[order[cut:]]


CASES = {
    case.name: case
    for case in (
        Case("digits", 64, 32, 10, batch=32, epochs=20),
        Case("iris", 4, 16, 3, batch=16, epochs=50),
    )
}
LOW, HIGH = 1e-4, 0.1
