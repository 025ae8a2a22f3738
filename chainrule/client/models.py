"""Registered models of a server, as methods of the client."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from chainrule.client.parse_options import UNTYPED
from chainrule.client.transport import Document, Transport


class Models:
    """Registered models. A reference is `name@3`, `name@alias`, or `name` for the latest."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def register(self, name: str, job_id: str, *, description: str = "") -> Document:
        """Register the model of a finished job. Repeating it returns the same version."""
        body = {"job_id": job_id, "description": description}
        return self._transport.post(f"{_path(name)}/versions", body, repeatable=True)

    def list(self) -> Iterator[Document]:
        """Yield all models."""
        return self._transport.items("/v1/models")

    def get(self, name: str) -> Document:
        """Return a model, with its latest version and its aliases."""
        return self._transport.get(_path(name))

    def versions(self, name: str) -> Iterator[Document]:
        """Yield the versions of a model, newest first."""
        return self._transport.items(f"{_path(name)}/versions")

    def version(self, name: str, version: int) -> Document:
        """Return a version of a model."""
        return self._transport.get(f"{_path(name)}/versions/{version}")

    def set_alias(self, name: str, alias: str, version: int) -> Document:
        """Let an alias point at a version."""
        path = _alias(name, alias)
        return self._transport.send("PUT", path, repeatable=True, json={"version": version})

    def history(self, name: str, alias: str) -> Iterator[Document]:
        """How an alias was moved, newest first."""
        return self._transport.items(f"{_alias(name, alias)}/history")

    def evaluate(self, reference: str, dataset: str, *, slices: Sequence[str] = ()) -> Document:
        """Submit a job that evaluates a model on a dataset version, also by the values of `slices`.

        When the job has finished, `client.jobs.evaluation` returns the result.
        """
        body = {"dataset": dataset, "slices": list(slices)}
        return self._queued(f"{_path(reference)}/evaluations", body)

    def score(
        self,
        reference: str,
        dataset: str,
        *,
        keep: Sequence[str] = (),
        probabilities: bool = False,
        interval: float | None = None,
        kind: str = "parquet",
    ) -> Document:
        """Submit a job that predicts all rows of a dataset version.

        When the job has finished, `client.jobs.predictions` writes the file, `parquet` or `csv`:
        the number of each row, the columns to `keep`, and the prediction.
        """
        body = {
            "dataset": dataset,
            "keep": list(keep),
            "probabilities": probabilities,
            "interval": interval,
            "format": kind,
        }
        return self._queued(f"{_path(reference)}/score", body)

    def evaluations(self, reference: str) -> Iterator[Document]:
        """Yield the evaluations of a version, or of all versions of a name, newest first."""
        return self._transport.items(f"{_path(reference)}/evaluations")

    def promote(
        self, name: str, version: int, alias: str, *, dataset: str, metric: str, margin: float = 0.0
    ) -> Document:
        """Move an alias to a version if it is better.

        Raises ProblemError (409) if a version is not evaluated on the dataset.
        """
        body = {"version": version, "dataset": dataset, "metric": metric, "margin": margin}
        return self._transport.post(f"{_alias(name, alias)}/promote", body)

    def roll_back(self, name: str, alias: str) -> Document:
        """Move an alias back to its previous version, and return it."""
        return self._transport.post(f"{_alias(name, alias)}/rollback")

    def predict(
        self,
        reference: str,
        rows: Sequence[Mapping[str, Any]],
        *,
        probabilities: bool = False,
        interval: float | None = None,
    ) -> Document:
        """Predict rows: `{"predictions": [...]}`, a label or number for each row.

        With `probabilities` the answer also has those of each label. With `interval`, a probability
        such as 0.9, it has `intervals`: the `low` and `high` of each number of a regression.
        """
        body = rows_body(rows, probabilities, interval)
        return self._transport.post(f"{_path(reference)}/predict", body, repeatable=True)

    def predict_file(
        self,
        reference: str,
        file: Path | str,
        *,
        probabilities: bool = False,
        interval: float | None = None,
    ) -> Document:
        """Predict the rows of a file: CSV, Parquet or another format of uploads; see `predict`.

        CSV is parsed as the data that the model was trained on. Columns that the model does not
        use are ignored. Raises OSError if the file cannot be read.
        """
        query = file_query(probabilities, interval)
        path = f"{_path(reference)}/predict/file"
        return self._transport.send_file(path, Path(file), UNTYPED, params=query)

    def onnx(self, name: str, version: int) -> bytes:
        """Return the model as an ONNX file."""
        return self._transport.content(f"{_path(name)}/versions/{version}/onnx")

    def _queued(self, path: str, body: Document) -> Document:
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        return self._transport.post(path, body, repeatable=True, headers=headers)


def rows_body(
    rows: Sequence[Mapping[str, Any]], probabilities: bool, interval: float | None
) -> Document:
    """Return the body of a request for predictions."""
    body: Document = {"rows": [dict(row) for row in rows], "probabilities": probabilities}
    return body if interval is None else {**body, "interval": interval}


def file_query(probabilities: bool, interval: float | None) -> Document:
    """Return the query of a request for predictions with a file."""
    query: Document = {"probabilities": probabilities}
    return query if interval is None else {**query, "interval": interval}


def _path(name: str) -> str:
    return f"/v1/models/{quote(name, safe='@')}"


def _alias(name: str, alias: str) -> str:
    return f"{_path(name)}/aliases/{quote(alias, safe='')}"
