"""Registered models of a server, as methods of the client."""

import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from chainrule.client.frames import is_pandas, prediction_frame, records
from chainrule.client.parse_options import UNTYPED
from chainrule.client.records import Record
from chainrule.client.transport import Document, Transport, segment


class Models:
    """Registered models. A reference is `name@3`, `name@alias`, or `name` for the latest."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def register(self, name: str, job_id: str, *, description: str = "") -> Record:
        """Register the model of a finished job. Repeating it returns the same version."""
        body = {"job_id": job_id, "description": description}
        return self._transport.post(f"{_path(name)}/versions", body, repeatable=True)

    def list(self) -> Iterator[Record]:
        """Yield all models."""
        return self._transport.items("/v1/models")

    def get(self, name: str) -> Record:
        """Return a model, with its latest version and its aliases."""
        return self._transport.get(_path(name))

    def versions(self, name: str) -> Iterator[Record]:
        """Yield the versions of a model, newest first."""
        return self._transport.items(f"{_path(name)}/versions")

    def version(self, name: str, version: int) -> Record:
        """Return a version of a model."""
        return self._transport.get(f"{_path(name)}/versions/{version}")

    def set_alias(self, name: str, alias: str, version: int) -> Record:
        """Let an alias point at a version."""
        path = _alias(name, alias)
        return self._transport.send("PUT", path, repeatable=True, json={"version": version})

    def history(self, name: str, alias: str) -> Iterator[Record]:
        """How an alias was moved, newest first."""
        return self._transport.items(f"{_alias(name, alias)}/history")

    def evaluate(self, reference: str, dataset: str, *, slices: Sequence[str] = ()) -> Record:
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
    ) -> Record:
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

    def evaluations(self, reference: str) -> Iterator[Record]:
        """Yield the evaluations of a version, or of all versions of a name, newest first."""
        return self._transport.items(f"{_path(reference)}/evaluations")

    def promote(
        self, name: str, version: int, alias: str, *, dataset: str, metric: str, margin: float = 0.0
    ) -> Record:
        """Move an alias to a version if it is better.

        Raises ProblemError (409) if a version is not evaluated on the dataset.
        """
        body = {"version": version, "dataset": dataset, "metric": metric, "margin": margin}
        return self._transport.post(f"{_alias(name, alias)}/promote", body)

    def roll_back(self, name: str, alias: str) -> Record:
        """Move an alias back to its previous version, and return it."""
        return self._transport.post(f"{_alias(name, alias)}/rollback")

    def predict(
        self,
        reference: str,
        rows: Any,
        *,
        probabilities: bool = False,
        interval: float | None = None,
    ) -> Any:
        """Predict rows: `{"predictions": [...]}`, a label or number for each row.

        With `probabilities` the answer also has those of each label. With `interval`, a probability
        such as 0.9, it has `intervals`: the `low` and `high` of each number of a regression. For a
        DataFrame of pandas, the answer is a DataFrame with its index and the columns `prediction`,
        `probability of LABEL`, `low` and `high`.
        """
        path = f"{_path(reference)}/predict"
        return predicted(self._transport, path, rows, probabilities, interval)

    def predict_file(
        self,
        reference: str,
        file: Path | str,
        *,
        probabilities: bool = False,
        interval: float | None = None,
    ) -> Record:
        """Predict the rows of a file: CSV, Parquet or another format of uploads; see `predict`.

        CSV is parsed as the data that the model was trained on. Columns that the model does not
        use are ignored. Raises OSError if the file cannot be read.
        """
        path = f"{_path(reference)}/predict/file"
        return self._transport.send_file(
            path, Path(file), UNTYPED, probabilities=probabilities, interval=interval
        )

    def onnx(self, name: str, version: int) -> bytes:
        """Return the model as an ONNX file."""
        return self._transport.content(f"{_path(name)}/versions/{version}/onnx")

    def _queued(self, path: str, body: Document) -> Record:
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        return self._transport.post(path, body, repeatable=True, headers=headers)


def predicted(
    transport: Transport, path: str, rows: Any, probabilities: bool, interval: float | None
) -> Any:
    """Return the predictions for rows; see `Models.predict`."""
    body = {"rows": records(rows), "probabilities": probabilities}
    if interval is not None:
        body["interval"] = interval
    answer = transport.post(path, body, repeatable=True)
    return prediction_frame(answer, rows.index) if is_pandas(rows) else answer


def _path(name: str) -> str:
    return f"/v1/models/{segment(name, safe='@')}"


def _alias(name: str, alias: str) -> str:
    return f"{_path(name)}/aliases/{segment(alias)}"
