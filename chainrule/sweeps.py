"""Sweeps of a server, as methods of the client."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from chainrule.sources import Sources
from chainrule.transport import Document, Transport


class Sweeps:
    """Searches over hyperparameters. Answers are the JSON objects of the api."""

    def __init__(self, transport: Transport, sources: Sources) -> None:
        self._transport = transport
        self._sources = sources

    def begin(self, spec: Mapping[str, Any], *, idempotency_key: str | None = None) -> Document:
        """Begin a sweep. The same again under the same key gives the same sweep."""
        body = dict(spec)
        if isinstance(body.get("job"), Mapping):
            body["job"] = self._sources.attach(body["job"])
        headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4())}
        return self._transport.post("/v1/sweeps", body, repeatable=True, headers=headers)

    def forecast(self, spec: Mapping[str, Any]) -> Document:
        """What a sweep would take; nothing is started."""
        return self._transport.post("/v1/sweeps/forecast", dict(spec), repeatable=True)

    def get(self, sweep_id: str) -> Document:
        """One sweep: its state, its trials by state, the best of them."""
        return self._transport.get(_path(sweep_id))

    def best(self, sweep_id: str) -> Document:
        """The best `trial`, and its `job`: a JobSpec. ProblemError (409): none yet."""
        return self._transport.get(f"{_path(sweep_id)}/best")

    def plot(self, sweep_id: str, kind: str, *, objective: int = 0) -> str:
        """A picture as a web page; a sweep's `plots` says which there are."""
        path = f"{_path(sweep_id)}/plots/{quote(kind, safe='')}?objective={objective}"
        return self._transport.content(path).decode()

    def study(self, sweep_id: str) -> bytes:
        """All trials as an SQLite file that Optuna opens."""
        return self._transport.content(f"{_path(sweep_id)}/optuna")

    def promote(self, sweep_id: str, name: str, *, alias: str | None = None) -> Document:
        """Make the best trial's model the next version of `name`; the alias then points at it."""
        body = {"name": name, "alias": alias}
        return self._transport.post(f"{_path(sweep_id)}/promote", body, repeatable=True)

    def trials(self, sweep_id: str, *, after: int = -1) -> list[Document]:
        """The trials numbered above `after`, in order."""
        found: list[Document] = []
        cursor = str(after) if after >= 0 else None
        while True:
            page = self._transport.get(f"{_path(sweep_id)}/trials", cursor=cursor, limit=500)
            found += page["items"]
            cursor = page.get("next")
            if cursor is None:
                return found

    def cancel(self, sweep_id: str) -> Document:
        """Begin no more trials and end those begun."""
        return self._transport.post(f"{_path(sweep_id)}/cancel", repeatable=True)

    def pause(self, sweep_id: str) -> Document:
        """Begin no more trials until it is resumed."""
        return self._transport.post(f"{_path(sweep_id)}/pause", repeatable=True)

    def resume(self, sweep_id: str) -> Document:
        """Begin trials again."""
        return self._transport.post(f"{_path(sweep_id)}/resume", repeatable=True)

    def edit(self, sweep_id: str, changes: Mapping[str, Any]) -> Document:
        """Change `n_trials`, `max_parallel`, `search_space`, `sampler`, `pruner` or `budget`."""
        return self._transport.send("PATCH", _path(sweep_id), repeatable=True, json=dict(changes))

    def add(self, sweep_id: str, points: Sequence[Mapping[str, Any]]) -> Document:
        """Try these points next, each as a trial more."""
        body = {"points": [dict(point) for point in points]}
        return self._transport.post(f"{_path(sweep_id)}/trials", body)

    def retry(self, sweep_id: str) -> Document:
        """Try again each trial whose job failed."""
        return self._transport.post(f"{_path(sweep_id)}/retry", repeatable=True)

    def changes(self, sweep_id: str) -> Sequence[Document]:
        """Who changed it, when and how, the newest last."""
        found: Any = self._transport.get(f"{_path(sweep_id)}/changes")
        return found  # type: ignore[no-any-return]

    def list(self) -> Iterator[Document]:
        """Sweeps, newest first."""
        return self._transport.items("/v1/sweeps")


def _path(sweep_id: str) -> str:
    return f"/v1/sweeps/{quote(sweep_id, safe='')}"
