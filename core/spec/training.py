"""TrainingSpec: the network and how to train it, without data, names or a database."""

from typing import Annotated, Literal

from pydantic import Field

import core.nn.layers
import core.nn.losses
import core.nn.metrics
import core.nn.optimizers
import core.nn.schedules  # noqa: F401  (the members register themselves)
from core.family import Since
from core.nn.layer import Layer
from core.nn.loss import Loss
from core.nn.metric import Metric
from core.nn.network import Network
from core.nn.optimizer import Optimizer
from core.nn.optimizers.adam import Adam
from core.nn.regularization import Regularization
from core.nn.schedule import Schedule
from core.nn.schedules.constant import Constant
from core.spec.base import Spec

BATCH_SIZE = 32
"""The default rows of a batch."""


class EarlyStopping(Spec):
    """Stop when a metric has not improved by more than `tolerance` for `patience` epochs."""

    metric: str = Field("valid/loss", description="such as valid/loss, train/loss, valid/accuracy")
    patience: Annotated[int, Field(ge=1, le=1_000_000)] = 10
    tolerance: Annotated[float, Field(ge=0)] = 0.0
    restore_best: bool = Field(True, description="finish with the weights of the best epoch")


class TrainingSpec(Spec):
    """A network and how to train it.

    Weights are initialised; then forward pass, loss, backpropagation and update repeat until a
    stopping rule applies.
    """

    network: Network
    loss: Loss
    optimizer: Optimizer = Adam()
    schedule: Schedule = Constant()
    regularization: Regularization = Regularization()
    batch_size: Annotated[int, Field(ge=1, le=10_000_000)] | Literal["full"] = Field(
        BATCH_SIZE,
        description="rows per batch: `full` means all training rows; the default is limited to the "
        "training rows",
    )
    order: Literal["shuffle", "sequential"] = "shuffle"
    accumulate: Annotated[int, Field(ge=1, le=100_000)] = Field(
        1, description="batches whose gradients are averaged for one update"
    )
    averaging: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None,
        description="decay of an exponential moving average of the weights, which the model gets",
    )
    epochs: Annotated[int, Field(ge=1, le=1_000_000)] = 10
    max_steps: Annotated[int, Field(ge=1)] | None = None
    max_seconds: Annotated[float, Field(gt=0)] | None = None
    target_loss: float | None = Field(
        None, description="stop when the training loss is at most this"
    )
    early_stopping: EarlyStopping | None = None
    calibrate: Annotated[Literal["temperature"] | None, Since(2)] = Field(
        None,
        description="divide the logits of a classifier by the number that minimises the log loss "
        "of the validation rows, after training: probabilities become more honest and no answer "
        "changes",
    )
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    metrics: Annotated[tuple[Metric, ...], Field(max_length=64)] = ()
    report_steps: Annotated[int, Field(ge=1)] | None = Field(
        None,
        description="updates between reports of the training loss, in addition to one per epoch; "
        "default: a tenth of an epoch, but at least 50",
    )
    precision: Literal["float32", "float64"] = "float32"
    device: Literal["cpu", "gpu"] = "cpu"

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers of the network, in order."""
        return self.network.layers
