"""The files that every ended run leaves in MLflow, and those that tell of what it learned."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core.db.tables import Attempt, Evaluation
from core.events import MACHINE
from core.jobs import History
from core.tracking import Artifact, charts
from core.training.diagnostics.histogram import Spread, spreads
from core.training.model import TrainedModel

MOST_POINTS = 400
"""Points of a curve in the picture; MLflow has them all."""
MOST_PANELS = 12
MOST_LAYERS = 40


def run_files(
    spec: Mapping[str, Any], attempts: Sequence[Attempt], history: History
) -> list[Artifact]:
    """What was asked for, what it was computed with, and the curves as far as it came."""
    files = {
        "spec.json": json.dumps(spec, indent=2),
        "environment.json": json.dumps([_environment(one) for one in attempts], indent=2),
    }
    panels = _panels(history)
    if panels:
        files["curves.svg"] = charts.curves(panels)
    return [Artifact(name, text.encode()) for name, text in files.items()]


def learned_files(model: TrainedModel) -> list[Artifact]:
    """Its layers, how rows are prepared for it, and how its weights are spread."""
    encoding = model.encoding
    scale = encoding.standardizer
    prepared = {
        "features": [[c.name, list(c.shape), "text" if c.text else "numbers"]
                     for c in encoding.features],
        "targets": [c.name for c in encoding.targets],
        "classes": [None if one is None else list(one) for one in encoding.classes],
        "split": model.spec.data.split.model_dump(),
        "split_seed": model.spec.data.split_seed,
        "query": model.spec.data.query,
        "prepare": json.loads(encoding.pipeline.dumps()),
        "standardizer": None if scale is None
        else {name: array.tolist() for name, array in scale.arrays().items()},
    }  # fmt: skip
    files = {
        "model-summary.txt": summary(model),
        "preparation.json": json.dumps(prepared, indent=2, default=str),
        "weights.svg": _histograms(spreads(list(model.network.views.items())[:MOST_LAYERS])),
    }
    return [Artifact(name, text.encode()) for name, text in files.items()]


def summary(model: TrainedModel) -> str:
    """A line for each layer: its path and kind, the shapes it takes and gives, its weights."""
    network = model.network
    rows = [("layer", "kind", "input", "output", "weights")]
    for place in network.places:
        rows.append(
            (
                f"network{place.path}",
                str(place.layer.kind),
                str(tuple(place.shape)),
                str(tuple(place.layer.output(place.shape))),
                f"{_size(w.shape for w in place.layer.weights(place.shape).values()):,}",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    total = network.weights.shape[-1]
    return "\n".join([*lines, "", f"{total:,} weights, {model.spec.precision}"]) + "\n"


def _environment(attempt: Attempt) -> dict[str, Any]:
    return {
        "attempt": attempt.number,
        "node": attempt.node,
        "worker": attempt.worker,
        "status": attempt.status.value,
        "resumed_from_step": attempt.resumed_from_step,
        "peak_memory_bytes": attempt.peak_memory_bytes,
        "versions": attempt.versions,
    }


def _panels(history: History) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """Metrics of one name together: `train/loss` beside `valid/loss`."""
    panels: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for key, packed in history.series.items():
        if key.startswith(MACHINE):  # MLflow has a page of its own for them
            continue
        part, _, name = key.partition("/")
        title = name or part
        if title in panels or len(panels) < MOST_PANELS:
            chosen = np.unique(np.linspace(0, len(packed) - 1, MOST_POINTS).astype(int))
            points = zip(packed["step"][chosen].tolist(), packed["value"][chosen].tolist(),
                         strict=True)  # fmt: skip
            panels.setdefault(title, {})[key] = list(points)
    return panels


def _histograms(found: Mapping[str, Spread]) -> str:
    return charts.histograms(
        {
            f"{path}: mean {one['mean']:.3g}, deviation {one['deviation']:.3g}": (
                one["counts"],
                one["low"],
                one["high"],
            )
            for path, one in found.items()
        }
    )


def _size(shapes: Any) -> int:
    return sum(int(np.prod(shape, dtype=object)) for shape in shapes)


def insight_files(insights: Mapping[str, Any] | None) -> list[Artifact]:
    """What a network was seen to do, as pictures, and its hardest rows as a table."""
    if not insights:
        return []
    files = _confusion(insights.get("confusion"))
    files["hardest.csv"] = _table(["row", "loss", "truth", "answer"], insights["hardest"])
    for name in ("activations", "gradients"):
        if insights[name]:
            files[f"{name}.svg"] = _histograms(insights[name])
    return [Artifact(name, text.encode()) for name, text in files.items()]


def evaluation_files(found: Evaluation) -> list[Artifact]:
    """What a model was worth: metrics of all rows and of each slice as a table, and a picture."""
    rows: list[dict[str, Any]] = [{"rows": found.rows, **found.metrics}]
    for one in found.slices:
        told = {"column": one["column"], "value": one["value"], "rows": one["rows"]}
        rows.append({**told, **one["metrics"]})
    files = _confusion(found.confusion)
    files["evaluation.csv"] = _table(["column", "value", "rows", *found.metrics], rows)
    return [Artifact(name, text.encode()) for name, text in files.items()]


def _confusion(found: Mapping[str, Any] | None) -> dict[str, str]:
    if not found:
        return {}
    labels = [str(label) for label in found["labels"]]
    return {"confusion.svg": charts.confusion(labels, found["counts"])}


def _table(names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
