"""XOR by a 2-3-1 network of sigmoids: 500 steps of plain gradient descent over all four rows."""

import numpy as np

from core.spec import TrainingSpec
from core.training.dataset_types import Dataset, Part
from core.training.trainer import Trainer

ROWS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
TARGETS = np.array([[0.0], [1.0], [1.0], [0.0]])
STEPS = 500

UNIFORM = {"kind": "uniform", "minimum": 0.1, "maximum": 0.9}
INITIAL = {"weight_initializer": UNIFORM, "bias_initializer": UNIFORM}
SPEC = TrainingSpec.model_validate(
    {
        "network": [
            {"kind": "dense", "units": 3, **INITIAL},
            {"kind": "sigmoid"},
            {"kind": "dense", "units": 1, **INITIAL},
            {"kind": "sigmoid"},
        ],
        "loss": {"kind": "sum_of_squares"},
        "optimizer": {"kind": "sgd", "learning_rate": 1.0},
        "batch_size": "full",
        "order": "sequential",
        "precision": "float64",
        "epochs": STEPS,
        "seed": 1,
    }
)


def trainer() -> Trainer:
    """The network with its first weights, and the four rows."""
    return Trainer([SPEC], Dataset(Part(ROWS, TARGETS)))


def losses(learner: Trainer) -> list[float]:
    """Return the sum of squares of each step, before it updates the weights."""
    curve: list[float] = []
    for _ in range(STEPS):
        curve.append(float(learner.advance()))
        learner.end_epoch()
    return curve


if __name__ == "__main__":
    learner = trainer()
    curve = losses(learner)
    for step in (0, 99, 199, 299, 399, 499):
        print(f"step {step + 1:3}: loss {curve[step]:.4f}")
    outputs, _ = learner.network.forward(ROWS)
    for row, output in zip(ROWS, outputs, strict=True):
        print(f"{row[0]:.0f} xor {row[1]:.0f} -> {output[0]:.3f}")
