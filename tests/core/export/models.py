"""Models with weights drawn at random, and rows for them."""

import math

import numpy as np

from core.data.prepare.pipeline import Standardizer
from core.spec import JobSpec
from core.training.dataset_types import Column, Encoding
from core.training.model import TrainedModel

DENSE = [{"kind": "dense", "units": 5}, {"kind": "tanh"}]


def model(
    features,
    *,
    loss,
    outputs,
    targets=("y",),
    cell=(),
    classes=(None,),
    layers=DENSE,
    shape=None,
    precision="float32",
    booleans=(),
):
    """A model with weights drawn at random, for `features` given as name: shape."""
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
    shape = shape or (sum(math.prod(one) for one in features.values()),)
    learned = Standardizer.fit(rng.normal(3, 10, size=(20, *shape)))
    encoding = Encoding(
        tuple(Column(name, one, boolean=name in booleans) for name, one in features.items()),
        tuple(Column(name, cell) for name in targets),
        classes,
        learned,
    )
    made = TrainedModel(spec, encoding, shape, np.zeros(()), np.zeros(()))
    made.network.initialize([7])
    return made


def rows_of(features, count=8):
    rng = np.random.default_rng(9)
    return [
        {name: rng.normal(3, 10, size=shape).tolist() for name, shape in features.items()}
        for _ in range(count)
    ]
