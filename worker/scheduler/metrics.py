"""Prometheus metrics of a scheduler: counters of its work, and gauges read from the database."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from sqlalchemy import Engine

from core import jobs, nodes
from core.db.session import reading
from core.errors import UnavailableError


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
        self.registry.register(_DatabaseGauges(engine))

    def serve(self, host: str, port: int) -> None:
        """Serve the metrics at http://host:port/metrics from a thread. Raises OSError."""
        start_http_server(port, host, self.registry)


class _DatabaseGauges:
    """Gauges read from the database; none while it does not answer."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        """The gauges as Prometheus metrics."""
        waiting = GaugeMetricFamily("chainrule_queue_jobs", "queued jobs", labels=["queue"])
        oldest = GaugeMetricFamily(
            "chainrule_queue_oldest_seconds", "age of the oldest queued job", labels=["queue"]
        )
        slots = GaugeMetricFamily(
            "chainrule_slots", "slots of workers that claim jobs", labels=["queue"]
        )
        try:
            with reading(self._engine) as session:
                for queue, (count, seconds) in jobs.queue_depths(session).items():
                    waiting.add_metric([queue], count)
                    oldest.add_metric([queue], seconds)
                for queue, count in nodes.slots(session).items():
                    slots.add_metric([queue], count)
                suspended, _ = nodes.suspended(session)
                chunks, lag = jobs.mirror_lag(session)
                leases = nodes.running_jobs(session)
        except UnavailableError:
            return
        yield from (waiting, oldest, slots)
        yield GaugeMetricFamily("chainrule_leases", "running jobs", leases)
        yield GaugeMetricFamily(
            "chainrule_suspended_workers", "workers that a circuit breaker stopped", suspended
        )
        yield GaugeMetricFamily(
            "chainrule_mirror_chunks", "metric chunks that MLflow lacks", chunks
        )
        yield GaugeMetricFamily(
            "chainrule_mirror_lag_seconds", "age of the oldest of them in seconds", lag
        )

    def describe(self) -> Iterator[Metric]:
        """Nothing, so that registering the gauges reads no database."""
        return iter(())
