"""Jobs of a server: as methods of the client, and as objects with methods."""

import time
import uuid
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from chainrule.client.frames import to_frame
from chainrule.client.models import predicted
from chainrule.client.parse_options import UNTYPED
from chainrule.client.problem import DeadlineError, ProblemError, UnreachableError, is_away
from chainrule.client.records import Record, decoded
from chainrule.client.sources import Sources
from chainrule.client.transport import Document, OnBytes, Transport, ignore_bytes, segment
from chainrule.contract.status import JobStatus

_ABSENT_SECONDS = 20.0


class JobEvent(NamedTuple):
    """An event of a job's stream: `kind` is state, metrics, log or end; `data` as in the API."""

    kind: str
    data: Document
    id: str


class Curve(NamedTuple):
    """The points of a metric: `values` over `steps`, and the `epochs` that had passed.

    The arrays are typed buffers: `numpy.asarray(curve.values)` copies nothing.
    """

    steps: "array[int]"
    epochs: "array[float]"
    values: "array[float]"


class Job(Record):
    """A job: its fields as of the last request, and what can be done with it.

    `job.wait()` returns when it has ended, `job.history()["train/loss"].values` is a curve,
    `job.predict(rows)` predicts. `refresh` reads the fields again.
    """

    __slots__ = ("_jobs",)

    def __init__(self, fields: Mapping[str, Any], jobs: "Jobs") -> None:
        super().__init__(fields)
        self._jobs = jobs

    def __repr__(self) -> str:
        metrics = self.get("last_metrics") or {}
        tests = [name for name in metrics if name.startswith("test/")] or list(metrics)
        shown = "".join(f", {name} {metrics[name]}" for name in tests[:2])
        return f"<Job {self['id']} on {self['dataset']}: {self['status']}{shown}>"

    def refresh(self) -> "Job":
        """Read the fields of the job again, and return it."""
        self.update(self._jobs.get(self["id"]))
        return self

    def wait(
        self,
        *,
        timeout_seconds: float | None = None,
        on_change: "Callable[[Job], None] | None" = None,
    ) -> "Job":
        """Return when the job has ended. Raises DeadlineError after `timeout_seconds`."""
        self.update(
            self._jobs.wait(self["id"], timeout_seconds=timeout_seconds, on_change=on_change)
        )
        return self

    def cancel(self) -> "Job":
        """Cancel the job. Raises ProblemError (409) if it has ended."""
        self.update(self._jobs.cancel(self["id"]))
        return self

    def history(self) -> dict[str, Curve]:
        """Return the metrics so far; see `Jobs.history`."""
        return self._jobs.history(self["id"])

    def logs(self) -> Iterator[Record]:
        """Yield the lines of the job's log so far."""
        return self._jobs.logs(self["id"])

    def predict(self, rows: Any, **options: Any) -> Any:
        """Predict rows with the model of the job; see `Jobs.predict`."""
        return self._jobs.predict(self["id"], rows, **options)


class Jobs:
    """Jobs: submit, follow and control them."""

    def __init__(self, transport: Transport, sources: Sources) -> None:
        self._transport = transport
        self._sources = sources

    def submit(self, spec: Mapping[str, Any], *, idempotency_key: str | None = None) -> Job:
        """Submit a job with its source. The same key returns the same job again."""
        headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4())}
        body = self._sources.attach(spec)
        return self._job(self._transport.post("/v1/jobs", body, repeatable=True, headers=headers))

    def get(self, job_id: str) -> Job:
        """Return a job with its spec and attempts."""
        return self._job(self._transport.get(_path(job_id)))

    def list(self, **filters: Any) -> Iterator[Job]:
        """Yield jobs, newest first; `filters` as in the API.

        Examples are `status="running"`, `tag=["team:a"]`, `metric=["valid/accuracy>0.9"]` and
        `sort="-valid/accuracy"`.
        """
        return map(self._job, self._transport.items("/v1/jobs", **filters))

    def change(
        self,
        job_id: str,
        *,
        note: str | None = None,
        tags: Mapping[str, str | None] | None = None,
    ) -> Job:
        """Change the note or some tags of a job. None removes a tag, an empty text the note."""
        body: Document = {"tags": dict(tags or {})}
        if note is not None:
            body["note"] = note
        return self._job(self._transport.send("PATCH", _path(job_id), repeatable=True, json=body))

    def delete(self, job_id: str) -> None:
        """Delete an ended job with all that it left.

        Raises ProblemError (409) while others use its model.
        """
        self._transport.delete(_path(job_id))

    def to_frame(self, **filters: Any) -> Any:
        """Return jobs as a pandas DataFrame, newest first; `filters` as in `list`.

        A metric is a column such as `last_metrics.valid/loss`. Raises ModuleNotFoundError if
        pandas is not installed.
        """
        return to_frame(self.list(**filters))

    def watch(self, job_id: str, *, pause_seconds: float = 0.3) -> Iterator[Job]:
        """Yield the job repeatedly, the last time in its terminal state.

        If the server answered before and then restarts, wait for it up to 20 s.
        """
        give_up_at = 0.0
        while True:
            try:
                job = self.get(job_id)
            except (ProblemError, UnreachableError) as error:
                if not is_away(error) or time.monotonic() > give_up_at:
                    raise
                time.sleep(pause_seconds)
                continue
            give_up_at = time.monotonic() + _ABSENT_SECONDS
            yield job
            if JobStatus(job["status"]).terminal:
                return
            time.sleep(pause_seconds)

    def wait(
        self,
        job_id: str,
        *,
        timeout_seconds: float | None = None,
        on_change: Callable[[Job], None] | None = None,
    ) -> Job:
        """Return the job in its terminal state. Raises DeadlineError after `timeout_seconds`."""
        give_up_at = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        last: Job | None = None
        for job in self.watch(job_id):
            if on_change is not None and job != last:
                on_change(job)
            last = job
            late = give_up_at is not None and time.monotonic() > give_up_at
            if late and not JobStatus(job["status"]).terminal:
                raise DeadlineError(
                    f"job {job_id} is still {job['status']} after {timeout_seconds:g} s"
                )
        assert last is not None
        return last

    def metrics(self, job_id: str, key: str | None = None) -> Iterator[Record]:
        """Yield the metric points so far, of all keys or of one like `train/loss`."""
        cursor: str | None = None
        while True:
            page = self._transport.get(f"{_path(job_id)}/metrics", key=key, cursor=cursor)
            yield from page["items"]
            cursor = page.get("next")
            if cursor is None or not page["items"]:
                return

    def history(self, job_id: str) -> dict[str, Curve]:
        """Return the curve of each metric so far, by name: `train/loss`."""
        curves: dict[str, Curve] = defaultdict(lambda: Curve(array("q"), array("d"), array("d")))
        for point in self.metrics(job_id):
            curve = curves[point["key"]]
            curve.steps.append(point["step"])
            curve.epochs.append(point["epoch"])
            curve.values.append(float(point["value"]))
        return dict(curves)

    def events(self, job_id: str, *, after: str | None = None) -> Iterator[JobEvent]:
        """Yield the events of the job until it ends, without gaps or repeats.

        `after` is the id of the last event that you have. Reconnects if the connection breaks.
        """
        for event in self._transport.stream(f"{_path(job_id)}/events", after):
            yield JobEvent(event.event, decoded(event.data), event.id)

    def logs(self, job_id: str) -> Iterator[Record]:
        """Yield the lines of the job's log so far."""
        return self._transport.items(f"{_path(job_id)}/logs", limit=500)

    def insights(self, job_id: str) -> Record:
        """Return the insights of a finished job. Raises ProblemError (404) if it has none."""
        return self._transport.get(f"{_path(job_id)}/insights")

    def evaluation(self, job_id: str) -> Record:
        """Return the result of an evaluation job. Raises ProblemError (409) before it finishes."""
        return self._transport.get(f"{_path(job_id)}/evaluation")

    def predictions(
        self, job_id: str, target: Path | str, *, on_bytes: OnBytes = ignore_bytes
    ) -> None:
        """Write the predictions of a scoring job to a file.

        `on_bytes` is called with the bytes received and the total, if known. Raises ProblemError
        (409) before the job finishes.
        """
        self._transport.download(f"{_path(job_id)}/predictions", Path(target), on_bytes)

    def source(self, job_id: str) -> Record:
        """Return the source code of the job. Raises ProblemError (404) if none was sent."""
        return self._transport.get(f"{_path(job_id)}/source")

    def cancel(self, job_id: str) -> Job:
        """Cancel the job. Raises ProblemError (409) if it has ended."""
        return self._job(self._transport.post(f"{_path(job_id)}/cancel", repeatable=True))

    def pause(self, job_id: str) -> Job:
        """Pause the job. A running job saves a checkpoint first."""
        return self._job(self._transport.post(f"{_path(job_id)}/pause", repeatable=True))

    def resume(self, job_id: str) -> Job:
        """Continue a paused job from its last checkpoint."""
        return self._job(self._transport.post(f"{_path(job_id)}/resume", repeatable=True))

    def retry(self, job_id: str) -> Job:
        """Submit the spec of a failed or cancelled job again, and return the new job."""
        return self._job(self._transport.post(f"{_path(job_id)}/retry"))

    def move(self, job_id: str, priority: int) -> Record:
        """Set the priority of a queued job. Higher runs first; the default is 0."""
        path = f"{_path(job_id)}/priority"
        return self._transport.post(path, {"priority": priority}, repeatable=True)

    def predict(
        self,
        job_id: str,
        rows: Any,
        *,
        probabilities: bool = False,
        interval: float | None = None,
    ) -> Any:
        """Predict with the model of a finished job; see `Models.predict`."""
        path = f"{_path(job_id)}/predict"
        return predicted(self._transport, path, rows, probabilities, interval)

    def predict_file(
        self,
        job_id: str,
        file: Path | str,
        *,
        probabilities: bool = False,
        interval: float | None = None,
    ) -> Record:
        """Predict the rows of a file with the model of a job; see `Models.predict_file`."""
        path = f"{_path(job_id)}/predict/file"
        return self._transport.send_file(
            path, Path(file), UNTYPED, probabilities=probabilities, interval=interval
        )

    def _job(self, document: Record) -> Job:
        return Job(document, self)


def _path(job_id: str) -> str:
    return f"/v1/jobs/{segment(job_id)}"
