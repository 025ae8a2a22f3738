"""The networks that are compared, from which every framework builds its own."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

BATCHES = 16
"""Number of different batches, used in turn."""

NETWORKS = 64
"""Networks in the stack that is compared with one at a time."""


@dataclass(frozen=True)
class Case:
    """A network, its batch size and how it learns. `steps` make one timed round."""

    name: str
    inputs: tuple[int, ...]
    hidden: tuple[int, ...]
    outputs: int
    batch: int
    steps: int
    kind: Literal["dense", "lenet", "gru"] = "dense"
    activation: Literal["relu", "sigmoid"] = "relu"
    loss: Literal["cross_entropy", "mean_squared_error"] = "cross_entropy"
    optimizer: Literal["adam", "sgd"] = "adam"
    rate: float = 0.001


CASES = {
    case.name: case
    for case in (
        Case("tiny", (4,), (16,), 3, batch=16, steps=2000),
        Case("small", (64,), (64, 64), 10, batch=32, steps=1500),
        Case(
            "nielsen",
            (784,),
            (30,),
            10,
            batch=10,
            steps=1000,
            activation="sigmoid",
            loss="mean_squared_error",
            optimizer="sgd",
            rate=3.0,
        ),
        Case("mlp", (784,), (512, 512), 10, batch=128, steps=60),
        Case("wide", (2048,), (4096, 4096), 100, batch=512, steps=2),
        Case("pixels", (1024,), (256,) * 8, 240_000, batch=16, steps=4, loss="mean_squared_error"),
        Case("lenet", (28, 28, 1), (32, 64, 128), 10, batch=64, steps=10, kind="lenet"),
        Case("gru", (50, 32), (64,), 10, batch=32, steps=20, kind="gru"),
    )
}


def data(case: Case) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """`(batches, batch, *inputs)` float32 and targets: classes int64, or numbers float32."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=(BATCHES, case.batch, *case.inputs)).astype(np.float32)
    if case.loss == "cross_entropy":
        return x, rng.integers(0, case.outputs, (BATCHES, case.batch))
    if case.name == "nielsen":
        return x, np.eye(10, dtype=np.float32)[rng.integers(0, 10, (BATCHES, case.batch))]
    y = rng.random(size=(1, case.batch, case.outputs), dtype=np.float32)
    return x, np.broadcast_to(y, (BATCHES, *y.shape[1:]))
