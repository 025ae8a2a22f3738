"""The lines that a job's log shows for events, for people to read."""

from typing import Any

from chainrule.contract.metric_names import best_label
from core.events import (
    EpochEnded,
    EvaluationEnded,
    Event,
    RowsPassed,
    ScoringEnded,
    TrainingEnded,
    TrainingFailed,
    TrainingStarted,
)
from core.spec import JobSpec
from worker.failure import Cause

EPOCHS = 20
"""So many of a job's epochs have a line, evenly spread; the metrics have them all."""

_REASONS = {
    "epochs": "all epochs are done",
    "steps": "max_steps is reached",
    "seconds": "max_seconds is reached",
    "target": "target_loss is reached",
    "patience": "no epoch was better for the patience of early_stopping",
}


def line(event: Event, spec: JobSpec) -> str | None:
    """The line for an event, or None."""
    match event:
        case TrainingStarted():
            begun = "begins" if event.step == 0 else f"continues from step {event.step:,}"
            return (
                f"training {begun}: {event.weights:,} weights, "
                f"{event.steps_total:,} steps in {event.epochs_total:,} epochs at most"
            )
        case EpochEnded():
            every = max(1, spec.epochs // EPOCHS)
            if event.epoch % every and event.epoch not in (1, spec.epochs):
                return None
            return f"epoch {event.epoch}/{spec.epochs}: {_numbers(event.metrics)}"
        case TrainingEnded():
            why = _REASONS.get(event.reason, event.reason)
            label = best_label(event.details.get("best_epoch"), event.details.get("best_metric"))
            best = f"; best was {label}" if label else ""
            return f"training ended at step {event.step:,}: {why}; {_numbers(event.metrics)}{best}"
        case TrainingFailed():
            return event.detail
    return None


def passed(event: RowsPassed | EvaluationEnded | ScoringEnded) -> str:
    """The line for a model that is applied to rows."""
    match event:
        case RowsPassed():
            return f"{event.rows:,} of {event.rows_total:,} rows"
        case EvaluationEnded():
            return f"measured on {event.rows:,} rows: {_numbers(event.metrics)}"
        case ScoringEnded():
            return f"predictions for {event.rows:,} rows are written"


def cause_text(cause: Cause) -> str:
    """Why an attempt failed, with the end of the traceback if there is one."""
    text = str(cause.get("message") or cause["kind"])
    trace = cause.get("traceback")
    return f"{text}\n{trace}" if trace else text


def _numbers(metrics: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())
