"""The Python client: everything that the REST api can do, as methods."""

import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import quote

import httpx

from chainrule.datasets import Datasets
from chainrule.models import Models, rows_body
from chainrule.problem import DeadlineError, ProblemError, UnreachableError, is_away
from chainrule.sources import Sources
from chainrule.sweeps import Sweeps
from chainrule.transport import Document, Transport
from chainrule.webhooks import Webhooks
from core.status import JobStatus

DEFAULT_URL = "http://127.0.0.1:8000"

_ABSENT_SECONDS = 20.0


class Client:
    """A Chainrule server. Answers are the JSON objects of the api, as dictionaries.

    `url` and `token` default to CHAINRULE_URL and CHAINRULE_API_TOKEN, `url` in the end to the
    address of `chainrule up`. Methods raise ProblemError when the server refuses and
    UnreachableError when none answers. The code of the project one is in goes with what
    is submitted; `source=False`, or CHAINRULE_SOURCE=off, keeps it here.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        timeout_seconds: float = 60.0,
        transport: httpx.BaseTransport | None = None,
        source: bool | None = None,
    ) -> None:
        address = url or os.environ.get("CHAINRULE_URL") or DEFAULT_URL
        secret = token if token is not None else os.environ.get("CHAINRULE_API_TOKEN", "")
        self._transport = Transport(
            address, secret, timeout_seconds=timeout_seconds, transport=transport
        )
        self.url = self._transport.url
        self.datasets = Datasets(self._transport)
        self.sources = Sources(self._transport, attached=source)
        self.jobs = Jobs(self._transport, self.sources)
        self.sweeps = Sweeps(self._transport, self.sources)
        self.models = Models(self._transport)
        self.webhooks = Webhooks(self._transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def nodes(self) -> Iterator[Document]:
        """The machines that have or had workers."""
        return self._transport.items("/v1/nodes")

    def drain(self, node: str, *, worker: str = "", undo: bool = False) -> Document:
        """Have a machine, or one `worker` of it, give its jobs back and take no new ones.

        `undo`: let it take jobs again.
        """
        verb = "undrain" if undo else "drain"
        whom = (
            f"{quote(node, safe='')}/workers/{quote(worker, safe='')}"
            if worker
            else (quote(node, safe=""))
        )
        return self._transport.post(f"/v1/nodes/{whom}/{verb}", repeatable=True)

    def experiments(self) -> Iterator[Document]:
        """The experiments."""
        return self._transport.items("/v1/experiments")

    def collect_garbage(self, rules: Mapping[str, Any]) -> Document:
        """Erase what `rules` say nobody needs, or with `dry_run` only say what that is."""
        return self._transport.post("/v1/retention", dict(rules))

    def rebuild_mlflow(self) -> Document:
        """Have MLflow told everything anew; of how many `jobs` and `sweeps`."""
        total = {"jobs": 0, "sweeps": 0}
        cursor: str | None = ""
        while cursor is not None:
            query = f"?cursor={cursor}" if cursor else ""
            done = self._transport.post(f"/v1/mlflow/rebuild{query}", repeatable=True)
            total = {what: count + done[what] for what, count in total.items()}
            cursor = done["next"]
        return total

    def ready(self) -> Document:
        """Whether all that the server needs answers. Raises ProblemError (503) if not."""
        return self._transport.get("/readyz")


class Happening(NamedTuple):
    """An event of a job's stream: `kind` is state, metrics, log or end; `data` as in the api."""

    kind: str
    data: Document
    id: str


class Jobs:
    """What was asked for, and how far it has come."""

    def __init__(self, transport: Transport, sources: Sources) -> None:
        self._transport = transport
        self._sources = sources

    def submit(self, spec: Mapping[str, Any], *, idempotency_key: str | None = None) -> Document:
        """Queue a job, with its source. The same again under the same key gives the same job."""
        headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4())}
        body = self._sources.attach(spec)
        return self._transport.post("/v1/jobs", body, repeatable=True, headers=headers)

    def get(self, job_id: str) -> Document:
        """One job, with its spec and attempts."""
        return self._transport.get(_path(job_id))

    def list(self, **filters: Any) -> Iterator[Document]:
        """Jobs, newest first; `filters` as in the api, like `status="running"`."""
        return self._transport.items("/v1/jobs", **filters)

    def watch(self, job_id: str, *, pause_seconds: float = 0.3) -> Iterator[Document]:
        """The job again and again, last in its terminal state.

        A server that answered once and is then away, to be started anew, is waited for a while.
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
        on_change: Callable[[Document], None] | None = None,
    ) -> Document:
        """The job in its terminal state. Raises DeadlineError after `timeout_seconds`."""
        give_up_at = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        seen: Document | None = None
        for job in self.watch(job_id):
            if on_change is not None and job != seen:
                on_change(job)
            seen = job
            late = give_up_at is not None and time.monotonic() > give_up_at
            if late and not JobStatus(job["status"]).terminal:
                raise DeadlineError(
                    f"job {job_id} is still {job['status']} after {timeout_seconds:g} s"
                )
        assert seen is not None
        return seen

    def metrics(self, job_id: str, key: str | None = None) -> Iterator[Document]:
        """The metric points so far; all keys, or one like `train/loss`."""
        cursor: str | None = None
        while True:
            page = self._transport.get(f"{_path(job_id)}/metrics", key=key, cursor=cursor)
            yield from page["items"]
            cursor = page.get("next")
            if cursor is None or not page["items"]:
                return

    def events(self, job_id: str, *, after: str | None = None) -> Iterator[Happening]:
        """What happens to the job, live, until it has ended: without gap or repeat.

        `after` is the id of the last one that was seen. A server that is away for a while is waited
        for.
        """
        for event in self._transport.stream(f"{_path(job_id)}/events", after):
            yield Happening(event.event, event.json(), event.id)

    def logs(self, job_id: str) -> Iterator[Document]:
        """What the job's attempts said so far, line by line."""
        return self._transport.items(f"{_path(job_id)}/logs", limit=500)

    def insights(self, job_id: str) -> Document:
        """Confusion matrix, hardest rows, spreads of a finished job. ProblemError (404): none."""
        return self._transport.get(f"{_path(job_id)}/insights")

    def evaluation(self, job_id: str) -> Document:
        """What a job that evaluates has measured. Raises ProblemError (409) while it has not."""
        return self._transport.get(f"{_path(job_id)}/evaluation")

    def predictions(
        self,
        job_id: str,
        target: Path | str,
        *,
        on_bytes: Callable[[int, int | None], None] = lambda done, total: None,
    ) -> None:
        """Write the answers of a job that scored to a file. Raises ProblemError (409) before that.

        `on_bytes` hears how many bytes have come, of how many.
        """
        self._transport.download(f"{_path(job_id)}/predictions", Path(target), on_bytes)

    def source(self, job_id: str) -> Document:
        """The code the job was submitted from. Raises ProblemError (404) when nobody sent it."""
        return self._transport.get(f"{_path(job_id)}/source")

    def cancel(self, job_id: str) -> Document:
        """Ask for the job to end. Raises ProblemError (409) when it already has."""
        return self._transport.post(f"{_path(job_id)}/cancel", repeatable=True)

    def pause(self, job_id: str) -> Document:
        """Keep the job from running; one that runs saves a checkpoint and stops."""
        return self._transport.post(f"{_path(job_id)}/pause", repeatable=True)

    def resume(self, job_id: str) -> Document:
        """Let a paused job go on from its last checkpoint."""
        return self._transport.post(f"{_path(job_id)}/resume", repeatable=True)

    def retry(self, job_id: str) -> Document:
        """The job that tries a failed or cancelled one again."""
        return self._transport.post(f"{_path(job_id)}/retry")

    def move(self, job_id: str, priority: int) -> Document:
        """Let a waiting job go before others (above 0) or after them."""
        path = f"{_path(job_id)}/priority"
        return self._transport.post(path, {"priority": priority}, repeatable=True)

    def predict(
        self,
        job_id: str,
        rows: Sequence[Mapping[str, Any]],
        *,
        probabilities: bool = False,
        interval: float | None = None,
    ) -> Document:
        """As `client.models.predict`, of a finished job's model."""
        body = rows_body(rows, probabilities, interval)
        return self._transport.post(f"{_path(job_id)}/predict", body, repeatable=True)


def _path(job_id: str) -> str:
    return f"/v1/jobs/{quote(job_id, safe='')}"
