"""Sweeps of a server, as methods of the client."""

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chainrule.client.records import Record
from chainrule.client.sources import Sources
from chainrule.client.transport import FILE_SECONDS, Transport, segment
from chainrule.contract.status import SweepStatus


class Sweeps:
    """Sweeps: searches over hyperparameters."""

    def __init__(self, transport: Transport, sources: Sources) -> None:
        self._transport = transport
        self._sources = sources

    def begin(self, spec: Mapping[str, Any], *, idempotency_key: str | None = None) -> Record:
        """Start a sweep. The same key returns the same sweep again."""
        body = dict(spec)
        if isinstance(body.get("job"), Mapping):
            body["job"] = self._sources.attach(body["job"])
        headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4())}
        return self._transport.post("/v1/sweeps", body, repeatable=True, headers=headers)

    def forecast(self, spec: Mapping[str, Any]) -> Record:
        """Estimate the time of a sweep, without starting it."""
        return self._transport.post("/v1/sweeps/forecast", dict(spec), repeatable=True)

    def get(self, sweep_id: str) -> Record:
        """Return a sweep: its status, its trials by status, the best of them."""
        return self._transport.get(_path(sweep_id))

    def wait(self, sweep_id: str, *, pause_seconds: float = 0.5) -> Record:
        """Return the sweep when it has ended."""
        while not SweepStatus((sweep := self.get(sweep_id))["status"]).terminal:
            time.sleep(pause_seconds)
        return sweep

    def best(self, sweep_id: str) -> Record:
        """Return the best `trial` and its `job`, a JobSpec. Raises ProblemError (409): none yet."""
        return self._transport.get(f"{_path(sweep_id)}/best")

    def plot(self, sweep_id: str, kind: str, *, objective: int = 0) -> str:
        """Return a plot as a web page. A sweep's `plots` lists the kinds."""
        path = f"{_path(sweep_id)}/plots/{segment(kind)}?objective={objective}"
        return self._transport.content(path).decode()

    def study(self, sweep_id: str) -> bytes:
        """Return all trials as an SQLite file for Optuna."""
        return self._transport.content(f"{_path(sweep_id)}/optuna")

    def promote(self, sweep_id: str, name: str, *, alias: str | None = None) -> Record:
        """Register the model of the best trial as `name`, and point `alias` at it."""
        body = {"name": name, "alias": alias}
        return self._transport.post(f"{_path(sweep_id)}/promote", body, repeatable=True)

    def trials(self, sweep_id: str, *, after: int = -1) -> list[Record]:
        """Return the trials with numbers above `after`, in order."""
        cursor = str(after) if after >= 0 else None
        path = f"{_path(sweep_id)}/trials"
        return [*self._transport.items(path, cursor=cursor, limit=500)]

    def cancel(self, sweep_id: str) -> Record:
        """Start no more trials, and end the running ones."""
        return self._transport.post(f"{_path(sweep_id)}/cancel", repeatable=True)

    def pause(self, sweep_id: str) -> Record:
        """Start no more trials until `resume`."""
        return self._transport.post(f"{_path(sweep_id)}/pause", repeatable=True)

    def resume(self, sweep_id: str) -> Record:
        """Start trials again."""
        return self._transport.post(f"{_path(sweep_id)}/resume", repeatable=True)

    def edit(self, sweep_id: str, changes: Mapping[str, Any]) -> Record:
        """Change `n_trials`, `max_parallel`, `search_space`, `sampler`, `pruner` or `budget`."""
        return self._transport.send("PATCH", _path(sweep_id), repeatable=True, json=dict(changes))

    def add(self, sweep_id: str, points: Sequence[Mapping[str, Any]]) -> Record:
        """Try these points next, each as an additional trial."""
        body = {"points": [dict(point) for point in points]}
        return self._transport.post(f"{_path(sweep_id)}/trials", body)

    def retry(self, sweep_id: str) -> Record:
        """Try failed trials again."""
        return self._transport.post(f"{_path(sweep_id)}/retry", repeatable=True)

    def changes(self, sweep_id: str) -> Sequence[Record]:
        """Return who changed the sweep, when and how, the newest last."""
        return self._transport.objects(f"{_path(sweep_id)}/changes")

    def list(self, **filters: Any) -> Iterator[Record]:
        """Yield sweeps, newest first; `filters` as in the API, like `dataset="digits@1"`."""
        return self._transport.items("/v1/sweeps", **filters)

    def delete(self, sweep_id: str) -> None:
        """Delete an ended sweep with its trials, their jobs and all that these left.

        Raises ProblemError (409) while others use a model of it.
        """
        self._transport.delete(_path(sweep_id), timeout=FILE_SECONDS)


def _path(sweep_id: str) -> str:
    return f"/v1/sweeps/{segment(sweep_id)}"
