"""Data and job of the demonstration: the UCI handwritten digits and a small network."""

import csv
from pathlib import Path
from typing import Any

from chainrule.stack import StackError

DATASET = "digits"
TARGET = "label"

SPEC: dict[str, Any] = {
    "experiment": "digits",
    "name": "demo",
    "dataset": f"{DATASET}@1",
    "data": {
        "target": TARGET,
        "split": {"train": 0.8, "valid": 0.1, "test": 0.1},
        "split_seed": 0,
        "standardize": True,
    },
    "network": [{"kind": "dense", "units": 128}, {"kind": "relu"}, {"kind": "dense", "units": 10}],
    "loss": {"kind": "cross_entropy"},
    "optimizer": {"kind": "adam", "learning_rate": 0.003},
    "batch_size": 32,
    "epochs": 30,
    "seed": 7,
    "metrics": [{"kind": "accuracy"}],
    "device": "cpu",
}
"""The JobSpec, as one would send it with curl."""


def path() -> Path:
    """Return the data file in the checkout of this package. Raises StackError without one."""
    file = Path(__file__).parents[2] / "examples" / "digits.csv"
    if not file.is_file():
        raise StackError("the demonstration needs examples/digits.csv: run it from a checkout")
    return file


def rows() -> list[dict[str, int]]:
    """Return all rows, with pixels and label by column name."""
    with path().open(encoding="utf-8", newline="") as lines:
        return [{name: int(text) for name, text in row.items()} for row in csv.DictReader(lines)]
