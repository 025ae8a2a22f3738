"""The policies by kind: `events` is governed by the setting `keep_events_days`."""

from collections.abc import Callable, Mapping

from core.retention import curves, files, jobs, rows
from core.retention.policy import RetentionPolicy
from core.settings import Settings

POLICIES: Mapping[str, Callable[[float], RetentionPolicy]] = {
    "events": rows.events,
    "logs": rows.logs,
    "metrics": curves.metrics,
    "idempotency_keys": rows.idempotency_keys,
    "deliveries": rows.deliveries,
    "sources": rows.sources,
    "workers": rows.workers,
    "checkpoints": files.checkpoints,
    "models": files.models,
    "predictions": files.predictions,
    "orphans": files.orphans,
    "jobs": jobs.jobs,
}
"""Makes a policy of a kind for a number of days."""


def kept_days(settings: Settings) -> dict[str, float | None]:
    """For how many days things are kept, by kind; None: for ever."""
    return {kind: getattr(settings, f"keep_{kind}_days") or None for kind in POLICIES}


def policies(days: Mapping[str, float | None]) -> list[RetentionPolicy]:
    """The policies of the kinds that are not kept for ever."""
    return [make(limit) for kind, make in POLICIES.items() if (limit := days.get(kind)) is not None]
