"""What tells runs apart at a glance: their names, and the metric that compares them."""

from collections.abc import Mapping, Sequence
from typing import Any

_MOST_LAYERS = 8
_SIZES = ("units", "filters")
"""The fields of layers that say how many outputs they have."""


def run_name(spec: Mapping[str, Any], dataset: str, progress: Mapping[str, Any] | None) -> str:
    """Return a name such as `digits@1 64-relu-10 valid/accuracy 0.975`.

    `dataset` is a dataset version such as `digits@1`, `progress` that of an ended job, else None.
    The metric is the first of the spec that the best epoch has, or the one it is best by.
    """
    parts = [dataset, _network(spec.get("network", ()))]
    best = (progress or {}).get("best") or {}
    if key := _metric(spec, best, str((progress or {}).get("best_metric") or "")):
        parts.append(f"{key} {best[key]:.3g}")
    return " ".join(part for part in parts if part)


def main_metric(spec: Mapping[str, Any]) -> str:
    """Return the metric that compares jobs like the one of `spec`, such as `valid/accuracy`."""
    part = "valid" if spec["data"]["split"].get("valid") != 0 else "train"
    watched = str((spec.get("early_stopping") or {}).get("metric") or "valid/loss")
    if not watched.endswith("/loss"):
        return watched
    return next((f"{part}/{metric['kind']}" for metric in spec["metrics"]), f"{part}/loss")


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


def _metric(spec: Mapping[str, Any], best: Mapping[str, float], watched: str) -> str | None:
    """Return the key of the metric to show; None if the best epoch is not known."""
    part, _, name = watched.partition("/")
    keys = [f"{part}/{metric['kind']}" for metric in spec.get("metrics", ())]
    keys = [*keys, watched] if name == "loss" else [watched]
    return next((key for key in keys if isinstance(best.get(key), int | float)), None)
