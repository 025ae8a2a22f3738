"""What Prometheus sees of the scheduler: what it did, and how the rows stand at the moment."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from sqlalchemy import Engine, func, select

from core import jobs, nodes
from core.db.session import reading
from core.db.tables import Job
from core.errors import UnavailableError
from core.status import JobStatus


class Instruments:
    """The counters of one scheduler, and gauges that are read from the database when asked for."""

    def __init__(self, engine: Engine) -> None:
        self.registry = CollectorRegistry()
        self.bells = Counter(
            "chainrule_scheduler_bells", "bells rung for waiting jobs", registry=self.registry
        )
        self.reaped = Counter(
            "chainrule_scheduler_reaped", "attempts whose lease ran out", registry=self.registry
        )
        self.scrubbed = Counter(
            "chainrule_store_bytes_scrubbed",
            "bytes of the store that were read again to find damage",
            registry=self.registry,
        )
        self.damaged = Gauge(
            "chainrule_store_damaged",
            "objects of the store that are damaged",
            registry=self.registry,
        )
        self.registry.register(_Rows(engine))

    def serve(self, host: str, port: int) -> None:
        """Show them at http://host:port/metrics from a thread. Raises OSError."""
        start_http_server(port, host, self.registry)


class _Rows:
    """Gauges from the database; none while it does not answer."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        """The gauges as Prometheus wants them."""
        waiting = GaugeMetricFamily("chainrule_queue_jobs", "jobs that wait", labels=["queue"])
        oldest = GaugeMetricFamily(
            "chainrule_queue_oldest_seconds", "age of the job that waits longest", labels=["queue"]
        )
        slots = GaugeMetricFamily("chainrule_slots", "slots that take jobs", labels=["queue"])
        try:
            with reading(self._engine) as session:
                for queue, (count, seconds) in jobs.queue_depths(session).items():
                    waiting.add_metric([queue], count)
                    oldest.add_metric([queue], seconds)
                for queue, count in nodes.slots(session).items():
                    slots.add_metric([queue], count)
                suspended, _ = nodes.suspended(session)
                chunks, lag = jobs.mirror_lag(session)
                leased = select(func.count()).where(Job.status == JobStatus.RUNNING)
                leases = session.execute(leased).scalar_one()
        except UnavailableError:
            return
        yield from (waiting, oldest, slots)
        yield GaugeMetricFamily("chainrule_leases", "jobs that an attempt owns", leases)
        yield GaugeMetricFamily(
            "chainrule_suspended_workers", "workers that a circuit breaker stopped", suspended
        )
        yield GaugeMetricFamily("chainrule_mirror_chunks", "chunks MLflow lacks", chunks)
        yield GaugeMetricFamily("chainrule_mirror_lag_seconds", "age of the oldest of them", lag)

    def describe(self) -> Iterator[Metric]:
        """Nothing: what there is depends on the rows, and registering asks no database."""
        return iter(())
