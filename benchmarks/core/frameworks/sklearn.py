"""scikit-learn's MLPClassifier, a batch at a time; for the networks it can build."""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.neural_network import MLPClassifier

from benchmarks.core.cases import Case


def build(case: Case, x: Any, y: Any) -> Callable[[int], None]:
    """A function that takes that many steps. Raises ValueError for what it cannot build."""
    if case.kind != "dense" or case.loss != "cross_entropy":
        raise ValueError("not a network that MLPClassifier has")
    model = MLPClassifier(
        case.hidden,
        activation=case.activation,
        solver=case.optimizer,
        batch_size=case.batch,
        learning_rate_init=case.rate,
        alpha=0.0,
    )
    classes = np.arange(case.outputs)
    model.partial_fit(x[0], y[0], classes=classes)

    def step(count: int) -> None:
        for index in range(count):
            which = index % len(x)
            model.partial_fit(x[which], y[which])

    return step
