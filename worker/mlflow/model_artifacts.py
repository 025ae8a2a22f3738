"""The files that a finished job leaves in MLflow: its model as MLflow, and as we, read it."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog

from core.data.storage.stores import Store
from core.errors import InvalidError
from core.export import model_folder
from core.tracking import Artifact
from core.training.model import TrainedModel
from worker.mlflow.run_artifacts import learned_files

log = structlog.get_logger()

_LONG = frozenset({"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"})


def model_artifacts(
    store: Store,
    key: str,
    *,
    spec: Mapping[str, Any],
    schema: Mapping[str, Any],
    run_id: str | None,
) -> list[Artifact]:
    """The model in the store under `key` as artifacts below `model/`, and what tells of it.

    `schema` is that of the dataset version it learned from. A model that has no form in ONNX comes
    without one. Raises as the store does.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        store.get_file(key, path)
        files = {
            "spec.json": json.dumps(spec, indent=2).encode(),
            "model.safetensors": path.read_bytes(),
        }
        model = TrainedModel.load(path)
        try:
            made = model_folder(
                model,
                run_id=run_id,
                kinds=column_kinds(schema),
                example=typical_row(schema),
            )
        except InvalidError as error:
            log.warning("a model goes to MLflow without ONNX", run=run_id, reason=error.detail)
            made = {}
    # MLmodel last: who sees it finds the rest.
    ordered = sorted({**files, **made}.items(), key=lambda one: one[0] == "MLmodel")
    return [
        *learned_files(model),
        *(Artifact(f"model/{name}", content) for name, content in ordered),
    ]


def column_kinds(schema: Mapping[str, Any]) -> dict[str, str]:
    """MLflow's word for the type of each column that holds whole numbers or booleans."""
    kinds = {}
    for column in schema.get("columns", []):
        if column["dtype"] in _LONG:
            kinds[column["name"]] = "long"
        elif column["dtype"] == "bool":
            kinds[column["name"]] = "boolean"
    return kinds


def typical_row(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The mean of every column that has one, the first class of text."""
    typical = {}
    for column in schema.get("columns", []):
        if column.get("mean") is not None:
            typical[column["name"]] = column["mean"]
        elif column.get("classes"):
            typical[column["name"]] = column["classes"][0]
    return typical
