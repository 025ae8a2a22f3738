"""Registered models of a server, as methods of the client."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from chainrule.transport import Document, Transport


class Models:
    """Names for what jobs learned. A reference is `name@3`, `name@alias`, or `name`: the latest."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def register(self, name: str, job_id: str, *, description: str = "") -> Document:
        """Make a finished job's model the next version of `name`; twice gives the same version."""
        body = {"job_id": job_id, "description": description}
        return self._transport.post(f"{_path(name)}/versions", body, repeatable=True)

    def list(self) -> Iterator[Document]:
        """All models."""
        return self._transport.items("/v1/models")

    def get(self, name: str) -> Document:
        """One model: its latest version and its aliases."""
        return self._transport.get(_path(name))

    def versions(self, name: str) -> Iterator[Document]:
        """The versions of a model, newest first."""
        return self._transport.items(f"{_path(name)}/versions")

    def version(self, name: str, version: int) -> Document:
        """One version of a model."""
        return self._transport.get(f"{_path(name)}/versions/{version}")

    def set_alias(self, name: str, alias: str, version: int) -> Document:
        """Let an alias point at a version."""
        path = _alias(name, alias)
        return self._transport.send("PUT", path, repeatable=True, json={"version": version})

    def history(self, name: str, alias: str) -> Iterator[Document]:
        """How an alias was moved, newest first."""
        return self._transport.items(f"{_alias(name, alias)}/history")

    def evaluate(self, reference: str, dataset: str, *, slices: Sequence[str] = ()) -> Document:
        """The job that measures a model on a dataset version, also by the values of some columns.

        When it has finished, `client.jobs.evaluation` has what it measured.
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
        """The job that lets a model answer for all rows of a dataset version.

        When it has finished, `client.jobs.predictions` brings the file, `parquet` or `csv`: the
        number of each row, the columns to `keep`, the answer.
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
        """What was measured, newest first: of a version, or of all versions of a name."""
        return self._transport.items(f"{_path(reference)}/evaluations")

    def promote(
        self, name: str, version: int, alias: str, *, dataset: str, metric: str, margin: float = 0.0
    ) -> Document:
        """Move an alias to a version if it is better. ProblemError (409): not evaluated yet."""
        body = {"version": version, "dataset": dataset, "metric": metric, "margin": margin}
        return self._transport.post(f"{_alias(name, alias)}/promote", body)

    def roll_back(self, name: str, alias: str) -> Document:
        """Move an alias back to where it pointed before; the version."""
        return self._transport.post(f"{_alias(name, alias)}/rollback")

    def predict(
        self,
        reference: str,
        rows: Sequence[Mapping[str, Any]],
        *,
        probabilities: bool = False,
        interval: float | None = None,
    ) -> Document:
        """`{"predictions": [...]}`, one for each row; labels or numbers.

        With `probabilities` also those of each label; with `interval`, a chance such as 0.9, also
        `intervals`: the `low` and `high` of each number of a regression.
        """
        body = rows_body(rows, probabilities, interval)
        return self._transport.post(f"{_path(reference)}/predict", body, repeatable=True)

    def onnx(self, name: str, version: int) -> bytes:
        """The model as an ONNX file."""
        return self._transport.content(f"{_path(name)}/versions/{version}/onnx")

    def _queued(self, path: str, body: Document) -> Document:
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        return self._transport.post(path, body, repeatable=True, headers=headers)


def rows_body(
    rows: Sequence[Mapping[str, Any]], probabilities: bool, interval: float | None
) -> Document:
    """What asks for predictions."""
    body: Document = {"rows": [dict(row) for row in rows], "probabilities": probabilities}
    return body if interval is None else {**body, "interval": interval}


def _path(name: str) -> str:
    return f"/v1/models/{quote(name, safe='@')}"


def _alias(name: str, alias: str) -> str:
    return f"{_path(name)}/aliases/{quote(alias, safe='')}"
