"""What tells runs apart at a glance: their names, and the metric that compares them."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from core.spec import JobSpec

_MOST_LAYERS = 8
_SIZES = ("units", "filters")
"""The fields of layers that say how many outputs they have."""


def run_name(spec: Mapping[str, Any], dataset: str, progress: Mapping[str, Any] | None) -> str:
    """Return a name such as `digits@1 64-relu-10 valid/accuracy 0.975`.

    `dataset` is a dataset version such as `digits@1`, `progress` that of an ended job, else None.
    The metric is the main one if the best epoch has it, else the one that the epoch is best by.
    """
    parts = [dataset, _network(spec.get("network", ()))]
    if best := (progress or {}).get("best"):
        keys = (main_metric(spec), (progress or {}).get("best_metric"))
        numbers = [key for key in keys if isinstance(best.get(key), int | float)]
        parts += [f"{key} {best[key]:.3g}" for key in numbers[:1]]
    return " ".join(part for part in parts if part)


def main_metric(spec: Mapping[str, Any]) -> str:
    """Return the metric that compares jobs like the one of `spec`, such as `valid/accuracy`.

    It is empty for the spec of a newer release, or of a job that does not train.
    """
    try:
        job = JobSpec.model_validate(spec)
    except ValidationError:
        return ""
    if job.early_stopping and not job.early_stopping.metric.endswith("/loss"):
        return job.early_stopping.metric
    part = "valid" if job.data.split.shares["valid"] else "train"
    names = [metric.name for metric in job.metrics if not metric.table]
    return f"{part}/{[*names, 'loss'][0]}"


def _network(layers: Sequence[Mapping[str, Any]]) -> str:
    """Return the layers in short: `64` is a dense layer of 64 units, `conv2d8` has 8 filters."""
    short = [_layer(layer) for layer in layers]
    if len(short) > _MOST_LAYERS:
        half = _MOST_LAYERS // 2
        short = [*short[:half], "...", *short[-half:]]
    return "-".join(short)


def _layer(layer: Mapping[str, Any]) -> str:
    size = next((str(layer[name]) for name in _SIZES if name in layer), "")
    return size if layer["kind"] == "dense" else f"{layer['kind']}{size}"
