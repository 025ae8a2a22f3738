"""The events of training, evaluation and scoring. Equal seeds give equal events."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar


@dataclass(frozen=True)
class Event:
    """Base of all events.

    In training, `step` counts optimizer updates and `epoch` passes over the data, both so far. In
    evaluation and scoring, `step` counts batches of rows and `epoch` is 0. `network` is the index
    of the network in a stack, 0 for a network that trains alone.
    """

    step: int
    epoch: int
    network: int = field(default=0, kw_only=True)


@dataclass(frozen=True)
class TrainingStarted(Event):
    """Training starts: `weights` is the number of weights, `steps_total` an upper bound."""

    weights: int
    steps_total: int
    epochs_total: int


@dataclass(frozen=True)
class StepEnded(Event):
    """One or more optimizer updates ended, with metrics such as `train/batch_loss`."""

    metrics: dict[str, float]


@dataclass(frozen=True)
class EpochEnded(Event):
    """One pass over the data ended, with metrics such as `train/loss` and `valid/accuracy`.

    `best` says that no earlier epoch of the network was better, by the metric `watched`.
    """

    metrics: dict[str, float]
    best: bool = False
    watched: str = ""


@dataclass(frozen=True)
class StackReported(Event):
    """A StepEnded or an EpochEnded of all `networks` that are still in training.

    Each metric has one value for each of them, in their order. `best` are the networks of which an
    epoch ended and no earlier one was better, by the metric `watched`; after a step there are none.
    """

    networks: tuple[int, ...]
    metrics: dict[str, list[float]]
    best: tuple[int, ...] = ()
    watched: str = ""


@dataclass(frozen=True)
class CheckpointSaved(Event):
    """A checkpoint is at `path`; `best` is True if no earlier one had a better metric."""

    path: str
    digest: str
    best: bool


@dataclass(frozen=True)
class CheckpointFailed(Event):
    """The machine could not save a checkpoint, for the reason `detail`; training continues."""

    detail: str


@dataclass(frozen=True)
class TrainingEnded(Event):
    """Training ended; `reason` is `epochs`, `steps`, `seconds`, `target`, `patience`, ...

    `path` is the model file, `weights_digest` the SHA-256 of the flat weight vector; `insights` are
    those of `core.training.diagnostics.insight`, empty for the networks of a stack.
    """

    reason: str
    metrics: dict[str, float]
    path: str
    weights_digest: str
    details: dict[str, Any] = field(default_factory=dict)
    insights: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainingFailed(Event):
    """Training cannot continue; `detail` names the layer, the step and a remedy."""

    detail: str


@dataclass(frozen=True)
class RowsPassed(Event):
    """A model has processed `rows` of `rows_total` rows so far."""

    rows: int
    rows_total: int


@dataclass(frozen=True)
class EvaluationEnded(Event):
    """A model was evaluated on `rows` rows, as a whole and for each slice.

    A slice has `column`, `value`, `rows` and `metrics`; `confusion` has `labels` and `counts`.
    """

    rows: int
    metrics: dict[str, float]
    slices: list[dict[str, Any]] = field(default_factory=list)
    confusion: dict[str, Any] | None = None


@dataclass(frozen=True)
class ScoringEnded(Event):
    """The predictions for `rows` rows are in the file at `path`, with these columns."""

    rows: int
    path: str
    columns: list[str]


def baseline_warning(baseline: Mapping[str, Any] | None) -> str | None:
    """Say that a model is no better than the trivial baseline; None if it is, or is not known.

    `baseline` is what `core.training.diagnostics.baseline` documents.
    """
    if not baseline or baseline["better"]:
        return None
    value, trivial = (float(baseline[name]) for name in ("value", "baseline_value"))
    return (
        f"the model is no better than predicting the {baseline['prediction']} of the training "
        f"rows for every row: {baseline['metric']} {value:.4g}, against {trivial:.4g} "
        f"({baseline['rows']:,} rows)"
    )


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
    """Converts events to JSON-compatible dictionaries and back."""

    KEY: ClassVar[str] = "event"

    @classmethod
    def encode(cls, event: Event) -> dict[str, Any]:
        """`event` as a dictionary with its class name under `event`; values are not copied."""
        named = {field.name: getattr(event, field.name) for field in fields(event)}
        return {cls.KEY: type(event).__name__, **named}

    @classmethod
    def decode(cls, message: dict[str, Any]) -> Event:
        """The event that `encode` converted to `message`. Raises KeyError for an unknown name."""
        fields = dict(message)
        return _KINDS[fields.pop(cls.KEY)](**fields)
