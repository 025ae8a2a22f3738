"""A client of MLflow's REST API with short timeouts and errors of our own.

The mlflow package would cost a worker 170 MB of memory and seconds at startup, and its client
blocks for minutes when the server does not answer.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import quote

import httpx

from core.errors import InvalidError, NotFoundError, UnavailableError

TIMEOUT_SECONDS = 5.0
UPLOAD_SECONDS = 60.0
MAX_METRICS = 1000
MAX_PARAMS = 100
MAX_TAGS = 100

_TRAINING = {"key": "mlflow.experimentKind", "value": "custom_model_development"}
"""Makes MLflow's pages show runs, charts and models first, not tools for language models."""

_METRIC = "mlflow.experiment.primaryMetric.name"
"""The tag with the metric that MLflow's charts of an experiment show first."""

_MISSING = "RESOURCE_DOES_NOT_EXIST"
_PRESENT = "RESOURCE_ALREADY_EXISTS"
_PROXIED = "mlflow-artifacts:"


class ExistsError(InvalidError):
    """The object to create exists already."""


class UnsupportedError(UnavailableError):
    """The server has no such endpoint: an older MLflow, another server, or a proxy that fails."""


class MetricPoint(NamedTuple):
    """A value of metric `key` at `step`, written `at_ms` milliseconds after 1970 UTC."""

    key: str
    value: float
    at_ms: int
    step: int


class MlflowServer:
    """One MLflow server; threads may share it. Every method waits for some seconds at most.

    Methods raise UnavailableError when the server does not answer or is overloaded, NotFoundError
    when it does not have an experiment or run, InvalidError when it refuses a request. `token` is
    sent as a bearer, if it is not empty.
    """

    def __init__(
        self, url: str, token: str = "", *, timeout_seconds: float = TIMEOUT_SECONDS
    ) -> None:
        self._http = httpx.Client(
            base_url=url.rstrip("/"),
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=httpx.Timeout(timeout_seconds),
            trust_env=False,
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def healthy(self) -> bool:
        """Whether the server answers."""
        try:
            return self._http.get("/health", timeout=2.0).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def experiment_id(self, name: str, metric: str = "") -> str:
        """The id of the experiment `name`, which is created if missing and restored if deleted.

        A new experiment compares its runs by `metric`.
        """
        try:
            experiment = self._experiment(name)
        except NotFoundError:
            tags = [_TRAINING, *_pairs({_METRIC: metric} if metric else {})]
            try:
                created = self._post("experiments/create", name=name, tags=tags)
                return str(created["experiment_id"])
            except ExistsError:
                # Another process created it in the meantime.
                experiment = self._experiment(name)
        if experiment.get("lifecycle_stage") == "deleted":
            self._post("experiments/restore", experiment_id=experiment["experiment_id"])
        return str(experiment["experiment_id"])

    def find_runs(
        self,
        experiment_ids: Sequence[str],
        filter_string: str,
        *,
        most: int = 100,
        deleted_too: bool = False,
    ) -> list[dict[str, Any]]:
        """At most `most` runs that match MLflow's `filter_string`, oldest first."""
        answer = self._post(
            "runs/search",
            experiment_ids=list(experiment_ids),
            filter=filter_string,
            max_results=most,
            order_by=["attributes.start_time ASC"],
            run_view_type="ALL" if deleted_too else "ACTIVE_ONLY",
        )
        runs: list[dict[str, Any]] = answer.get("runs", [])
        return runs

    def create_run(
        self, experiment_id: str, *, name: str, started_at_ms: int, tags: Mapping[str, str]
    ) -> dict[str, Any]:
        """Create a run; its `info`, with `run_id` and `artifact_uri`."""
        answer = self._post(
            "runs/create",
            experiment_id=experiment_id,
            run_name=name,
            start_time=started_at_ms,
            tags=_pairs(tags),
        )
        info: dict[str, Any] = answer["run"]["info"]
        return info

    def get_run(self, run_id: str) -> dict[str, Any]:
        """A run, with `info`, `data` and `inputs`."""
        run: dict[str, Any] = self._get("runs/get", run_id=run_id)["run"]
        return run

    def update_run(
        self, run_id: str, status: str, ended_at_ms: int | None = None, name: str = ""
    ) -> dict[str, Any]:
        """Set the status of a run, the time it ended and its name; the run's `info` after that."""
        body = {"run_id": run_id, "status": status}
        if name:
            body["run_name"] = name
        if ended_at_ms is not None:
            body["end_time"] = str(ended_at_ms)
        info: dict[str, Any] = self._post("runs/update", **body)["run_info"]
        return info

    def log_params(self, run_id: str, params: Mapping[str, str]) -> None:
        """Log hyperparameters; logging the same values again changes nothing."""
        for part in _parts(_pairs(params), MAX_PARAMS):
            self._post("runs/log-batch", run_id=run_id, params=part)

    def log_first(
        self, run_id: str, params: Mapping[str, str], points: Sequence[MetricPoint]
    ) -> None:
        """Log the hyperparameters and points of a new run, in one request if they fit into one."""
        if len(params) > MAX_PARAMS or len(params) + len(points) > MAX_METRICS:
            self.log_params(run_id, params)
            self.log_points(run_id, points)
            return
        metrics = [_metric(point) for point in points]
        self._post("runs/log-batch", run_id=run_id, params=_pairs(params), metrics=metrics)

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags; those of the same name are replaced."""
        for part in _parts(_pairs(tags), MAX_TAGS):
            self._post("runs/log-batch", run_id=run_id, tags=part)

    def delete_tag(self, run_id: str, key: str) -> None:
        """Delete a tag of a run."""
        self._post("runs/delete-tag", run_id=run_id, key=key)

    def log_points(self, run_id: str, points: Sequence[MetricPoint]) -> None:
        """Log metric points in the largest batches that MLflow accepts.

        Logging the same points again changes nothing.
        """
        for part in _parts(points, MAX_METRICS):
            metrics = [_metric(point) for point in part]
            self._post("runs/log-batch", run_id=run_id, metrics=metrics)

    def log_model_points(self, run_id: str, model_id: str, points: Sequence[MetricPoint]) -> None:
        """Show points that a run has as metrics of a logged model, too.

        Logging the same points again changes nothing.
        """
        for part in _parts(points, MAX_METRICS):
            metrics = [{**_metric(point), "model_id": model_id} for point in part]
            self._post("runs/log-batch", run_id=run_id, metrics=metrics)

    def points(self, run_id: str, key: str) -> list[MetricPoint]:
        """All points of a metric of a run, in order of step."""
        metrics = self._get("metrics/get-history", run_id=run_id, metric_key=key).get("metrics", [])
        points = [_point(metric) for metric in metrics]
        return sorted(points, key=lambda point: point.step)

    def log_input(self, run_id: str, dataset: Mapping[str, str], context: str) -> None:
        """Log the dataset (`name`, `digest`, `source_type`, `source`, `schema`) of a run."""
        tags = [{"key": "mlflow.data.context", "value": context}]
        body = [{"dataset": dict(dataset), "tags": tags}]
        self._post("runs/log-inputs", run_id=run_id, datasets=body)

    def delete_run(self, run_id: str) -> None:
        """Mark a run as deleted."""
        self._post("runs/delete", run_id=run_id)

    def put_artifact(self, artifact_uri: str, name: str, content: bytes | Path) -> bool:
        """Upload a file as the artifact `name` of the run whose artifacts are at `artifact_uri`.

        Returns False when the server accepts no artifacts: its clients write to the storage.
        """
        if not accepts_files(artifact_uri):
            return False
        folder = httpx.URL(artifact_uri).path.strip("/")
        path = quote(f"{folder}/{name}")
        with self._request(), _opened(content) as body:
            answer = self._http.put(
                f"/api/2.0/mlflow-artifacts/artifacts/{path}", content=body, timeout=UPLOAD_SECONDS
            )
            _check(answer)
        return True

    def delete_artifacts(self, artifact_uri: str) -> bool:
        """Delete all artifacts of the run whose artifacts are at `artifact_uri`.

        Returns False when the server accepts no artifacts: its clients write to the storage.
        """
        if not artifact_uri.startswith(_PROXIED):
            return False
        path = quote(httpx.URL(artifact_uri).path.strip("/"))
        with self._request():
            _check(self._http.delete(f"/api/2.0/mlflow-artifacts/artifacts/{path}"))
        return True

    def artifacts(self, run_id: str, folder: str = "") -> dict[str, int]:
        """Paths and sizes in bytes of the artifacts in a folder of a run."""
        answer = self._get("artifacts/list", run_id=run_id, path=folder)
        return {file["path"]: int(file.get("file_size", 0)) for file in answer.get("files", [])}

    def request(
        self,
        method: str,
        endpoint: str,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """The JSON that MLflow returns for a request to an endpoint of its REST API."""
        with self._request():
            path = f"/api/2.0/mlflow/{endpoint}"
            return _check(self._http.request(method, path, json=body, params=query))

    def _experiment(self, name: str) -> dict[str, Any]:
        experiment: dict[str, Any] = self._get("experiments/get-by-name", experiment_name=name)[
            "experiment"
        ]
        return experiment

    def _get(self, endpoint: str, **query: str) -> dict[str, Any]:
        return self.request("GET", endpoint, query=query)

    def _post(self, endpoint: str, **body: Any) -> dict[str, Any]:
        return self.request("POST", endpoint, body)

    @contextmanager
    def _request(self) -> Iterator[None]:
        try:
            yield
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            kind = type(error).__name__
            raise UnavailableError(f"MLflow does not answer ({kind})") from error


def accepts_files(artifact_uri: str) -> bool:
    """Whether the server takes files for this address; clients write to other addresses."""
    return artifact_uri.startswith(_PROXIED)


def _check(answer: httpx.Response) -> dict[str, Any]:
    """The JSON of a response. Raises the error that the response stands for."""
    if answer.is_success:
        document: dict[str, Any] = answer.json() if answer.content else {}
        return document
    try:
        problem = answer.json()
        code, message = str(problem.get("error_code", "")), str(problem.get("message", ""))
    except (ValueError, AttributeError):
        code, message = "", answer.text[:200]
    detail = f"MLflow returned {answer.status_code} {code}: {message[:500]}"
    if code == _MISSING:
        raise NotFoundError(detail)
    if code == _PRESENT:
        raise ExistsError(detail)
    if answer.status_code in (400, 413, 422):
        raise InvalidError(detail)
    if answer.status_code in (404, 405) and not code:
        raise UnsupportedError(detail)
    # Also 401 and 403: a proxy before MLflow, or another server.
    raise UnavailableError(detail)


def _metric(point: MetricPoint) -> dict[str, Any]:
    return {
        "key": point.key,
        "value": _number(point.value),
        "timestamp": point.at_ms,
        "step": point.step,
    }


def _point(metric: Mapping[str, Any]) -> MetricPoint:
    """A point as MLflow returns it: it leaves out a step of 0."""
    value, at_ms, step = metric["value"], metric["timestamp"], metric.get("step", 0)
    return MetricPoint(str(metric["key"]), float(value), int(at_ms), int(step))


def _number(value: float) -> float | str:
    """A value as JSON that MLflow accepts: it would drop a whole batch with a bare NaN in it."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def _pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in values.items()]


def _parts(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


@contextmanager
def _opened(content: bytes | Path) -> Iterator[Any]:
    if isinstance(content, bytes):
        yield content
        return
    with content.open("rb") as file:
        yield file
