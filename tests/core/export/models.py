"""Models with random weights, and rows for them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core.data.prepare.pipeline import Standardizer
from core.spec import JobSpec
from core.training.dataset_types import Column, Encoding
from core.training.model import TrainedModel

Shapes = Mapping[str, tuple[int, ...]]

DENSE: list[dict[str, Any]] = [{"kind": "dense", "units": 5}, {"kind": "tanh"}]


def model(  # noqa: PLR0913 - tests vary each of these
    features: Shapes,
    *,
    loss: str | dict[str, Any],
    outputs: int,
    targets: Sequence[str] = ("y",),
    cell: tuple[int, ...] = (),
    classes: tuple[Any, ...] = (None,),
    layers: list[dict[str, Any]] = DENSE,
    shape: tuple[int, ...] | None = None,
    precision: str = "float32",
    booleans: Sequence[str] = (),
) -> TrainedModel:
    """Return a model with random weights for `features`, given as shapes by name."""
    spec = JobSpec.model_validate(
        {
            "experiment": "x",
            "dataset": "x",
            "data": {"target": list(targets) if len(targets) > 1 else targets[0]},
            "network": [*layers, {"kind": "dense", "units": outputs}],
            "loss": {"kind": loss} if isinstance(loss, str) else loss,
            "epochs": 1,
            "precision": precision,
        }
    )
    rng = np.random.default_rng(1)
    shape = shape or (sum(math.prod(extents) for extents in features.values()),)
    learned = Standardizer.fit(rng.normal(3, 10, size=(20, *shape)))
    encoding = Encoding(
        tuple(
            Column(name, extents, boolean=name in booleans) for name, extents in features.items()
        ),
        tuple(Column(name, cell) for name in targets),
        classes,
        learned,
    )
    trained = TrainedModel(spec, encoding, shape, np.zeros(()), np.zeros(()))
    trained.network.initialize([7])
    return trained


def rows_of(features: Shapes, count: int = 8) -> list[dict[str, Any]]:
    """Return random rows for `features`."""
    rng = np.random.default_rng(9)
    return [
        {name: rng.normal(3, 10, size=shape).tolist() for name, shape in features.items()}
        for _ in range(count)
    ]
