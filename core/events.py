"""What happens to a network that is trained or used, as values: equal seeds give equal events."""

from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

MACHINE = "system/"
"""Begins the names of metrics that tell of a machine, not of the network: no two runs agree."""

GAUGES = (
    "train/batch_loss",
    "train/learning_rate",
    "train/gradient_norm",
    "train/update_ratio",
)
"""Metrics of single updates, beside those that say how good the network is."""


@dataclass(frozen=True)
class Event:
    """Base of all events. `step` counts optimizer updates so far, `epoch` passes over the data;

    where a model is only used, `step` counts stretches of rows and `epoch` is 0.

    `network` says which network of a stack it happened to; alone it is 0.
    """

    step: int
    epoch: int
    network: int = field(default=0, kw_only=True)


@dataclass(frozen=True)
class TrainingStarted(Event):
    """The network stands; `weights` is how many numbers it learns, `steps_total` an upper bound."""

    weights: int
    steps_total: int
    epochs_total: int


@dataclass(frozen=True)
class StepEnded(Event):
    """One or more optimizer updates were made; metrics like `train/batch_loss` at this step."""

    metrics: dict[str, float]


@dataclass(frozen=True)
class EpochEnded(Event):
    """One pass over the data ended; metrics like `train/loss`, `valid/accuracy`."""

    metrics: dict[str, float]


@dataclass(frozen=True)
class StackReported(Event):
    """A step or an epoch of all `networks` still in training, in one: thousands of values a second.

    Each metric has one value for each of them, in their order. `epoch_ended` tells which it was.
    """

    networks: tuple[int, ...]
    metrics: dict[str, list[float]]
    epoch_ended: bool


@dataclass(frozen=True)
class CheckpointSaved(Event):
    """A file from which training resumes lies at `path`; `best` if no earlier one was better."""

    path: str
    digest: str
    best: bool


@dataclass(frozen=True)
class CheckpointFailed(Event):
    """The machine could not write a checkpoint; `detail` says why. Training goes on without it."""

    detail: str


@dataclass(frozen=True)
class TrainingEnded(Event):
    """Training ended. `reason` says why: `epochs`, `steps`, `seconds`, `target`, `patience`, ...

    `path` is the model file, `weights_digest` the SHA-256 of the flat weight vector; `insights` is
    what `core.training.diagnostics.insight` saw, of a network that trained alone.
    """

    reason: str
    metrics: dict[str, float]
    path: str
    weights_digest: str
    details: dict[str, Any] = field(default_factory=dict)
    insights: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainingFailed(Event):
    """Training cannot go on; `detail` names the layer, the step and the way out."""

    detail: str


@dataclass(frozen=True)
class RowsPassed(Event):
    """A model went over `rows` of `rows_total` rows so far."""

    rows: int
    rows_total: int


@dataclass(frozen=True)
class EvaluationEnded(Event):
    """A model was measured on `rows` rows: metrics, the same for each slice, answers by class.

    A slice has `column`, `value`, `rows` and `metrics`; `confusion` has `labels` and `counts`.
    """

    rows: int
    metrics: dict[str, float]
    slices: list[dict[str, Any]] = field(default_factory=list)
    confusion: dict[str, Any] | None = None


@dataclass(frozen=True)
class ScoringEnded(Event):
    """The answers for `rows` rows lie in the file at `path`, under these columns."""

    rows: int
    path: str
    columns: list[str]


_KINDS: dict[str, type[Event]] = {
    kind.__name__: kind
    for kind in (
        TrainingStarted,
        StepEnded,
        EpochEnded,
        StackReported,
        CheckpointSaved,
        CheckpointFailed,
        TrainingEnded,
        TrainingFailed,
        RowsPassed,
        EvaluationEnded,
        ScoringEnded,
    )
}


class Codec:
    """Events to plain JSON-able dictionaries and back."""

    KEY: ClassVar[str] = "event"

    @classmethod
    def encode(cls, event: Event) -> dict[str, Any]:
        """`event` as a dictionary, its class name under `event`; the values are the event's own."""
        named = {field.name: getattr(event, field.name) for field in fields(event)}
        return {cls.KEY: type(event).__name__, **named}

    @classmethod
    def decode(cls, message: dict[str, Any]) -> Event:
        """The event that `encode` made `message` from. Raises KeyError for an unknown name."""
        fields = dict(message)
        return _KINDS[fields.pop(cls.KEY)](**fields)
