"""What Prometheus sees of this process."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import Scope

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Instruments:
    """The counters of one app; two apps in one process do not mix theirs."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ("method", "route", "status")
        self._requests = Counter(
            "chainrule_api_requests", "requests answered", labels, registry=self.registry
        )
        self._seconds = Histogram(
            "chainrule_api_request_seconds",
            "seconds from request to the end of the answer",
            ("method", "route"),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.wakeups = Counter(
            "chainrule_api_doorbells", "jobs the broker was told of", ["outcome"],
            registry=self.registry,
        )  # fmt: skip
        self._waiting = Gauge(
            "chainrule_queue_jobs", "jobs that wait", ["queue"], registry=self.registry
        )
        self._oldest = Gauge(
            "chainrule_queue_oldest_seconds", "age of the job that waits longest", ["queue"],
            registry=self.registry,
        )  # fmt: skip

    def observe(self, scope: Scope, status: int, seconds: float) -> None:
        """Count one request. Unknown paths count as one route: clients do not choose our labels."""
        route = getattr(scope.get("route"), "path", None) or "none"
        method = scope["method"] if route != "none" else "any"
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def show_queues(self, depths: Mapping[str, tuple[int, float]]) -> None:
        """Take over how many jobs wait in each queue, and for how many seconds the oldest has."""
        self._waiting.clear()
        self._oldest.clear()
        for queue, (count, seconds) in depths.items():
            self._waiting.labels(queue).set(count)
            self._oldest.labels(queue).set(seconds)

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self.registry)
