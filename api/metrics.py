"""Prometheus metrics of this process."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import Scope

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Instruments:
    """The metrics of one app, in their own registry."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ("method", "route", "status")
        self._requests = Counter(
            "chainrule_api_requests", "answered requests", labels, registry=self.registry
        )
        self._seconds = Histogram(
            "chainrule_api_request_seconds",
            "seconds from the request to the end of the response",
            ("method", "route"),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.wakeups = Counter(
            "chainrule_api_doorbells", "wake-up messages for new jobs", ["outcome"],
            registry=self.registry,
        )  # fmt: skip
        self._waiting = Gauge(
            "chainrule_queue_jobs", "queued jobs", ["queue"], registry=self.registry
        )
        self._oldest = Gauge(
            "chainrule_queue_oldest_seconds", "age of the oldest queued job", ["queue"],
            registry=self.registry,
        )  # fmt: skip

    def observe(self, scope: Scope, status: int, seconds: float) -> None:
        """Count one request. All unknown paths share one label, so clients cannot create labels."""
        route = getattr(scope.get("route"), "path", None) or "none"
        method = scope["method"] if route != "none" else "any"
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def show_queues(self, depths: Mapping[str, tuple[int, float]]) -> None:
        """Set the number of queued jobs and the age of the oldest, in seconds, for each queue."""
        self._waiting.clear()
        self._oldest.clear()
        for queue, (count, seconds) in depths.items():
            self._waiting.labels(queue).set(count)
            self._oldest.labels(queue).set(seconds)

    def text(self) -> bytes:
        """All metrics in the Prometheus text format."""
        return generate_latest(self.registry)
