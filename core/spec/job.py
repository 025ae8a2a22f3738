"""JobSpec: the input of a training job."""

from typing import Annotated

from pydantic import ConfigDict, Field, JsonValue, StringConstraints

from core.spec.base import MostAttempts, Name, Priority, Spec, Tags
from core.spec.data import DataSpec
from core.spec.source import SourceDigest
from core.spec.training import TrainingSpec

DatasetReference = Annotated[
    str,
    StringConstraints(
        max_length=500, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]*(@[A-Za-z0-9][A-Za-z0-9_.\-]*)?$"
    ),
]

DIGITS: dict[str, JsonValue] = {
    "experiment": "digits",
    "dataset": "digits@1",
    "data": {"target": "label", "split": {"train": 0.8, "valid": 0.1, "test": 0.1}},
    "network": [{"kind": "dense", "units": 64}, {"kind": "relu"}, {"kind": "dense", "units": 10}],
    "loss": {"kind": "cross_entropy"},
    "optimizer": {"kind": "adam", "learning_rate": 0.001},
    "batch_size": 32,
    "epochs": 30,
    "seed": 7,
    "metrics": [{"kind": "accuracy"}],
    "tags": {"team": "a"},
}
"""An example: a job that learns to recognise handwritten digits."""


class CheckpointSpec(Spec):
    """How often checkpoints are saved, and how many of them are kept."""

    every_steps: Annotated[int, Field(ge=1)] | None = None
    every_seconds: Annotated[float, Field(gt=0)] | None = Field(
        None, description="default: the setting of the worker"
    )
    keep: Annotated[int, Field(ge=2, le=100)] = 2


class JobSpec(TrainingSpec):
    """A training job: the data, the network, how to train it, and its name."""

    model_config = ConfigDict(json_schema_extra={"examples": [DIGITS]})

    experiment: Name = Field(description="groups jobs; an MLflow experiment of this name")
    name: Name | None = Field(
        None, description="shown in MLflow; default: dataset, network and best metric"
    )
    description: Annotated[str, StringConstraints(max_length=4096)] = ""
    dataset: DatasetReference = Field(
        description="`name@3`, `name@alias`, or `name` for the latest version"
    )
    data: DataSpec
    tags: Tags = Field(default_factory=dict)
    priority: Priority = 0
    max_attempts: MostAttempts = None
    checkpoint: CheckpointSpec = CheckpointSpec()
    source: SourceDigest | None = Field(
        None, description="digest of the source code, as returned by `POST /v1/sources`"
    )
