"""Prometheus metrics of a scheduler: counters of its work, and gauges of the cluster."""

from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server
from sqlalchemy import Engine

from worker.scheduler.gauges import DatabaseGauges


class SchedulerMetrics:
    """The metrics of one scheduler; the gauges are read when Prometheus scrapes them."""

    def __init__(self, engine: Engine) -> None:
        self.registry = CollectorRegistry()
        self.messages = Counter(
            "chainrule_scheduler_bells", "messages sent for queued jobs", registry=self.registry
        )
        self.reaped = Counter(
            "chainrule_scheduler_reaped", "attempts whose lease ran out", registry=self.registry
        )
        self.scrubbed = Counter(
            "chainrule_store_bytes_scrubbed",
            "bytes of the store that the scrub read to detect damage",
            registry=self.registry,
        )
        self.damaged = Gauge(
            "chainrule_store_damaged",
            "objects of the store that are damaged",
            registry=self.registry,
        )
        self.freed = Counter(
            "chainrule_retention_freed_bytes",
            "bytes that retention deleted, of database rows an estimate",
            ["kind"],
            registry=self.registry,
        )
        self.registry.register(DatabaseGauges(engine))

    def serve(self, host: str, port: int) -> None:
        """Serve the metrics at http://host:port/metrics from a thread. Raises OSError."""
        start_http_server(port, host, self.registry)
