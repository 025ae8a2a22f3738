"""Trained models as logged models of MLflow: one for each run, with files and metrics."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.tracking.mlflow import MAX_PARAMS, MetricPoint, MlflowServer, UnsupportedError

MODEL_TYPE = "neural network"
"""What the column "type" of MLflow's pages says."""

_READY = "LOGGED_MODEL_READY"
_MAX_VALUE = 5000
_NOT_IN_NAMES = re.compile(r"[/:.%\"']")


@dataclass(frozen=True)
class ModelDescription:
    """What the logged model of a run is created with; `metrics` are those of its final weights."""

    name: str
    params: Mapping[str, str]
    tags: Mapping[str, str]
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class LoggedModel:
    """A logged model that MLflow has."""

    model_id: str
    artifact_uri: str


class ModelUpload:
    """Sends the files of a run's model; its logged model is created with the first of them.

    `searched` says that an earlier, interrupted upload may have created it. The model becomes ready
    with `finish`. Methods raise as MlflowServer does.
    """

    def __init__(
        self,
        server: MlflowServer,
        run: Mapping[str, Any],
        description: ModelDescription,
        *,
        searched: bool = True,
    ) -> None:
        self._server = server
        self._run_id, self._experiment_id = str(run["run_id"]), str(run["experiment_id"])
        self._description = description
        self._searched = searched
        self._supported = True
        self._model: LoggedModel | None = None

    def put(self, name: str, content: bytes | Path) -> None:
        """Upload a file of the model; `name` is its path in the model's folder.

        Nothing is uploaded to a server that has no logged models, as MLflow before 3.
        """
        if not self._supported:
            return
        if self._model is None:
            present = self._searched and find_model(self._server, self._experiment_id, self._run_id)
            try:
                self._model = present or self._create()
            except UnsupportedError:
                self._supported = False
                return
        self._server.put_artifact(self._model.artifact_uri, name, content)

    def finish(
        self, outputs: Iterable[str], candidates: Callable[[str], Iterable[MetricPoint]]
    ) -> None:
        """Show the model and its metrics at its run; nothing if no file was uploaded.

        `outputs` are the models that the run shows already. `candidates` returns the points that
        the run has of a metric: the last one with the value of the final weights is the model's.
        """
        if self._model is None:
            return
        model_id = self._model.model_id
        points = []
        for key, value in self._description.metrics.items():
            equal = [point for point in candidates(key) if point.value == value]
            points += equal[-1:]
        self._server.log_model_points(self._run_id, model_id, points)
        if model_id not in outputs:
            body = {"run_id": self._run_id, "models": [{"model_id": model_id, "step": 0}]}
            self._server.request("POST", "runs/outputs", body)
        body = {"model_id": model_id, "status": _READY}
        self._server.request("PATCH", f"logged-models/{model_id}", body)

    def _create(self) -> LoggedModel:
        """Create the logged model."""
        given = self._description
        params = [
            {"key": key, "value": value[:_MAX_VALUE]}
            for key, value in given.params.items()
            if value
        ]
        answer = self._server.request(
            "POST",
            "logged-models",
            {
                "experiment_id": self._experiment_id,
                "name": _NOT_IN_NAMES.sub("-", given.name),
                "model_type": MODEL_TYPE,
                "source_run_id": self._run_id,
                "params": params[:MAX_PARAMS],
                "tags": [{"key": key, "value": value} for key, value in given.tags.items()],
            },
        )
        model = _model(answer["model"])
        for start in range(MAX_PARAMS, len(params), MAX_PARAMS):
            body = {"model_id": model.model_id, "params": params[start : start + MAX_PARAMS]}
            self._server.request("POST", f"logged-models/{model.model_id}/params", body)
        return model


def find_model(server: MlflowServer, experiment_id: str, run_id: str) -> LoggedModel | None:
    """The logged model of a run; None if it has none, or the server knows none (before MLflow 3).

    Raises as MlflowServer does.
    """
    body = {
        "experiment_ids": [experiment_id],
        "filter": f"source_run_id = '{run_id}'",
        "order_by": [{"field_name": "creation_timestamp", "ascending": True}],
        "max_results": 1,
    }
    try:
        models = server.request("POST", "logged-models/search", body).get("models", [])
    except UnsupportedError:
        return None
    return _model(models[0]) if models else None


def _model(answer: Mapping[str, Any]) -> LoggedModel:
    info = answer["info"]
    return LoggedModel(str(info["model_id"]), str(info["artifact_uri"]))
