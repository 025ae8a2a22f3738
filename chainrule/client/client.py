"""The Python client: a method for each request of the REST API."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import httpx

from chainrule.client.datasets import Datasets
from chainrule.client.jobs import Jobs
from chainrule.client.models import Models
from chainrule.client.records import Record
from chainrule.client.sources import Sources
from chainrule.client.sweeps import Sweeps
from chainrule.client.transport import Transport, segment
from chainrule.client.webhooks import Webhooks

DEFAULT_URL = "http://127.0.0.1:8000"


class Client:
    """A Chainrule server. Answers are the JSON objects of the api, as dictionaries.

    `url` and `token` default to CHAINRULE_URL and CHAINRULE_API_TOKEN, and `url` without either to
    the address of `chainrule up`. Methods raise ProblemError if the server refuses a request, and
    UnreachableError if no server answers. Jobs and sweeps are submitted with the source code of the
    current project, unless `source` is False or CHAINRULE_SOURCE is off. `source_files` are paths
    or patterns of untracked files that are sent with it although they are not source files.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        timeout_seconds: float = 60.0,
        transport: httpx.BaseTransport | None = None,
        source: bool | None = None,
        source_files: Sequence[str] = (),
    ) -> None:
        address = url or os.environ.get("CHAINRULE_URL") or DEFAULT_URL
        secret = token if token is not None else os.environ.get("CHAINRULE_API_TOKEN", "")
        self._transport = Transport(
            address, secret, timeout_seconds=timeout_seconds, transport=transport
        )
        self.url = self._transport.url
        self.datasets = Datasets(self._transport)
        self.sources = Sources(self._transport, attached=source, files=source_files)
        self.jobs = Jobs(self._transport, self.sources)
        self.sweeps = Sweeps(self._transport, self.sources)
        self.models = Models(self._transport)
        self.webhooks = Webhooks(self._transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def nodes(self) -> Iterator[Record]:
        """Yield the machines that have or had workers."""
        return self._transport.items("/v1/nodes")

    def drain(self, node: str, *, worker: str = "", undo: bool = False) -> Record:
        """Drain a machine, or one `worker` of it: it gives its jobs back and takes no new ones.

        With `undo` it takes jobs again.
        """
        path = f"/v1/nodes/{segment(node)}"
        if worker:
            path += f"/workers/{segment(worker)}"
        return self._transport.post(f"{path}/{'undrain' if undo else 'drain'}", repeatable=True)

    def experiments(self) -> Iterator[Record]:
        """Yield the experiments."""
        return self._transport.items("/v1/experiments")

    def collect_garbage(self, rules: Mapping[str, Any]) -> Record:
        """Erase old data by the `rules` of `POST /v1/retention`; with `dry_run` only list it.

        The request is repeated until nothing is left to erase; `items` are those of the first.
        """
        report = self._transport.post("/v1/retention", dict(rules))
        more = report["more"]
        while more:
            page = self._transport.post("/v1/retention", dict(rules))
            freed = {part["kind"]: part for part in page["kinds"]}
            done = {part["kind"]: part for part in report["kinds"]}
            report["kinds"] = [_sum(done.get(kind), freed.get(kind)) for kind in done | freed]
            report["bytes"] += page["bytes"]
            more = page["more"]
        return Record(report | {"more": False})

    def storage(self) -> Record:
        """Return what takes the space on the server, how long it is kept, and what is overdue."""
        return self._transport.get("/v1/storage")

    def rebuild_mlflow(self) -> Record:
        """Send all jobs and sweeps to MLflow again. Returns their numbers, `jobs` and `sweeps`."""
        total = {"jobs": 0, "sweeps": 0}
        cursor: str | None = ""
        while cursor is not None:
            query = f"?cursor={cursor}" if cursor else ""
            page = self._transport.post(f"/v1/mlflow/rebuild{query}", repeatable=True)
            total = {kind: count + page[kind] for kind, count in total.items()}
            cursor = page["next"]
        return Record(total)

    def openapi(self) -> Record:
        """Return the OpenAPI document of the server, with the schema of every spec."""
        return self._transport.get("/openapi.json")

    def ready(self) -> Record:
        """Return the state of the server's dependencies. Raises ProblemError (503) if not ready."""
        return self._transport.get("/readyz")


def _sum(first: Record | None, second: Record | None) -> Record:
    """What two requests erased of one kind; one of them may not have come to it."""
    if first is None or second is None:
        return Record(first or second or {})
    counts = {name: first[name] + second[name] for name in ("rows", "files", "bytes")}
    return Record(first | counts)
