"""The files that an ended job or sweep leaves in MLflow: its inputs, its results, its model."""

import csv
import io
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from chainrule.contract.metric_names import MACHINE
from chainrule.contract.status import JobKind, JobStatus
from core import jobs, models, sweeps
from core.data.storage.stores import Store
from core.db.session import reading
from core.db.tables import Attempt, Evaluation, Source
from core.errors import InvalidError
from core.export import model_folder
from core.tracking import Artifact, charts
from core.training.diagnostics.histogram import Histogram, histograms
from core.training.model import TrainedModel
from worker.mlflow.description import JobSubject
from worker.mlflow.sweep_charts import sweep_charts

log = structlog.get_logger()

MAX_POINTS = 400
"""Points of a curve in the picture; the run's metrics have all of them."""
MAX_PANELS = 12
MAX_LAYERS = 40
_LONG = frozenset({"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"})


def artifacts(engine: Engine, store: Store, subject: JobSubject) -> Iterator[Artifact]:
    """The files of the run of `subject`, made one after the other; none before the job has ended.

    Raises as the store does, UnavailableError when the database does not answer.
    """
    if not subject.status.terminal or not subject.leaves_files:
        return
    with reading(engine) as session:
        job = jobs.get(session, subject.row_id)
        attempts = jobs.attempts(session, job.id)
        files = _run_files(subject.spec, attempts, jobs.metrics(session, job.id))
        files |= _insight_files(job.insights)
        if text := "".join(jobs.log_text(session, job.id)):
            files["log.txt"] = text
        if subject.copies_source:
            files |= _source_files(jobs.source_of(session, job))
        if job.kind is JobKind.EVALUATE and job.status is JobStatus.FINISHED:
            files |= _evaluation_files(models.evaluation_by(session, job.id))
    yield from _encoded(files)
    if subject.status is JobStatus.FINISHED and subject.model_key is not None:
        yield from _model_artifacts(store, subject.model_key, subject)


def sweep_artifacts(session: Session, sweep_id: str) -> tuple[dict[str, str], list[Artifact]]:
    """The tags that name the best trial of an ended sweep, and the files of its run."""
    results = sweeps.read_results(session, sweep_id, curves=True)
    sweep = sweeps.get(session, sweep_id)
    tags: dict[str, str] = {}
    files = {"sweep.json": json.dumps(sweep.spec, indent=2)}
    if best := sweeps.best(session, sweep):
        _, document = sweeps.best_job(session, sweep_id)
        files["best.json"] = json.dumps(document, indent=2)
        tags = {
            "chainrule.best_trial": str(best[0].number),
            "chainrule.best_job": str(best[0].job_id or ""),
        }
    files |= {"trials.csv": results.table(), "plots.svg": sweep_charts(results)}
    return tags, _encoded({name: text for name, text in files.items() if text})


def learned_files(model: TrainedModel) -> list[Artifact]:
    """The layers of a model, how rows are prepared for it, and histograms of its weights."""
    encoding = model.encoding
    scale, target = encoding.standardizer, encoding.target_standardizer
    preparation = {
        "features": [[c.name, list(c.shape), "text" if c.text else "numbers"]
                     for c in encoding.features],
        "targets": [c.name for c in encoding.targets],
        "classes": [None if names is None else list(names) for names in encoding.classes],
        "split": model.spec.data.split.model_dump(),
        "split_seed": model.spec.data.split_seed,
        "query": model.spec.data.query,
        "prepare": json.loads(encoding.pipeline.dumps()),
        "standardizer": None if scale is None
        else {name: array.tolist() for name, array in scale.arrays().items()},
        "target_standardizer": None if target is None
        else {name: array.tolist() for name, array in target.arrays("target").items()},
    }  # fmt: skip
    views = list(model.network.views.items())[:MAX_LAYERS]
    return _encoded(
        {
            "model-summary.txt": summary(model),
            "preparation.json": json.dumps(preparation, indent=2, default=str),
            "weights.svg": _histograms(histograms(views)),
        }
    )


def summary(model: TrainedModel) -> str:
    """A table with one line for each layer: path, kind, input and output shape, weights."""
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


def _model_artifacts(store: Store, key: str, subject: JobSubject) -> Iterator[Artifact]:
    """The model in the store under `key`, below `model/`, and the files that describe it.

    A model that ONNX cannot express comes without an ONNX file. Raises as the store does.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        store.get_file(key, path)
        files = {
            "spec.json": json.dumps(subject.spec, indent=2).encode(),
            "model.safetensors": path.read_bytes(),
        }
        model = TrainedModel.load(path)
        try:
            exported = model_folder(
                model,
                run_id=subject.run_id,
                kinds=_column_kinds(subject.schema),
                example=_typical_row(subject.schema),
            )
        except InvalidError as error:
            log.warning(
                "a model goes to MLflow without ONNX", run=subject.run_id, reason=error.detail
            )
            exported = {}
    yield from learned_files(model)
    # MLmodel comes last: a reader that sees it finds the rest.
    logged = exported or files
    for name, content in sorted(
        {**files, **exported}.items(), key=lambda file: file[0] == "MLmodel"
    ):
        yield Artifact(f"model/{name}", content, name if name in logged else "")


def _column_kinds(schema: Mapping[str, Any]) -> dict[str, str]:
    """MLflow's type of each column of whole numbers or booleans."""
    kinds = {}
    for column in schema.get("columns", []):
        if column["dtype"] in _LONG:
            kinds[column["name"]] = "long"
        elif column["dtype"] == "bool":
            kinds[column["name"]] = "boolean"
    return kinds


def _typical_row(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The mean of every column of numbers, the first class of every column of text."""
    typical = {}
    for column in schema.get("columns", []):
        if column.get("mean") is not None:
            typical[column["name"]] = column["mean"]
        elif column.get("classes"):
            typical[column["name"]] = column["classes"][0]
    return typical


def _run_files(
    spec: Mapping[str, Any], attempts: Sequence[Attempt], history: jobs.History
) -> dict[str, str]:
    """The spec, the environment of each attempt, and the curves."""
    files = {
        "spec.json": json.dumps(spec, indent=2),
        "environment.json": json.dumps([_environment(attempt) for attempt in attempts], indent=2),
    }
    if panels := _panels(history):
        files["curves.svg"] = charts.curves(panels)
    return files


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


def _panels(history: jobs.History) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """The curves by panel: metrics of one name share one, such as `train/loss` and `valid/loss`."""
    panels: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for key, packed in history.series.items():
        if key.startswith(MACHINE):  # MLflow has a page of its own for them
            continue
        part, _, name = key.partition("/")
        title = name or part
        if title in panels or len(panels) < MAX_PANELS:
            chosen = np.unique(np.linspace(0, len(packed) - 1, MAX_POINTS).astype(int))
            points = zip(packed["step"][chosen].tolist(), packed["value"][chosen].tolist(),
                         strict=True)  # fmt: skip
            panels.setdefault(title, {})[key] = list(points)
    return panels


def _source_files(source: Source | None) -> dict[str, str]:
    """The changes and new files of the source, under names that MLflow shows as text."""
    if source is None or source.erased_at is not None:
        return {}
    document = source.document
    files = {f"source/new/{path}": text for path, text in document["files"].items()}
    if document["diff"]:
        files["source/changes.diff.txt"] = document["diff"]
    names = ("repository", "commit", "branch", "command", "omitted")
    origin = {name: document[name] for name in names}
    return {**files, "source/source.json": json.dumps(origin, indent=2)}


def _insight_files(insights: Mapping[str, Any] | None) -> dict[str, str]:
    """Histograms of activations and gradients, the confusion matrix, the rows of largest loss."""
    if not insights:
        return {}
    files = _confusion(insights.get("confusion"))
    files["hardest.csv"] = _table(["row", "loss", "truth", "answer"], insights["hardest"])
    for name in ("activations", "gradients"):
        if insights[name]:
            files[f"{name}.svg"] = _histograms(insights[name])
    return files


def _evaluation_files(evaluation: Evaluation) -> dict[str, str]:
    """The metrics of all rows and of each slice as a table, and the confusion matrix."""
    rows: list[dict[str, Any]] = [{"rows": evaluation.rows, **evaluation.metrics}]
    for part in evaluation.slices:
        place = {name: part[name] for name in ("column", "value", "rows")}
        rows.append({**place, **part["metrics"]})
    files = _confusion(evaluation.confusion)
    files["evaluation.csv"] = _table(["column", "value", "rows", *evaluation.metrics], rows)
    return files


def _confusion(confusion: Mapping[str, Any] | None) -> dict[str, str]:
    if not confusion:
        return {}
    labels = [str(label) for label in confusion["labels"]]
    return {"confusion.svg": charts.confusion(labels, confusion["counts"])}


def _histograms(by_path: Mapping[str, Histogram]) -> str:
    return charts.histograms(
        {
            f"{path}: mean {spread['mean']:.3g}, deviation {spread['deviation']:.3g}": (
                spread["counts"],
                spread["low"],
                spread["high"],
            )
            for path, spread in by_path.items()
        }
    )


def _table(names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _size(shapes: Iterable[Sequence[int]]) -> int:
    return sum(int(np.prod(shape, dtype=object)) for shape in shapes)


def _encoded(files: Mapping[str, str]) -> list[Artifact]:
    return [Artifact(name, text.encode()) for name, text in files.items()]
