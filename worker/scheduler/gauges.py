"""Gauges of the whole cluster, read from the database when Prometheus scrapes a scheduler."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from prometheus_client.core import GaugeMetricFamily, Metric
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from core import datasets, jobs, nodes, sweeps
from core.db.session import reading
from core.errors import UnavailableError

ATTEMPT_SECONDS = 3600.0
"""Ended attempts are counted over so many seconds."""


class DatabaseGauges:
    """A collector of the gauges; it yields none while the database does not answer."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        """The gauges as Prometheus metrics."""
        try:
            with reading(self._engine) as session:
                metrics = [metric for read in _READERS for metric in read(session)]
        except UnavailableError:
            return
        yield from metrics

    def describe(self) -> Iterator[Metric]:
        """Nothing, so that registering the gauges reads no database."""
        return iter(())


def _gauge(
    name: str,
    text: str,
    labels: tuple[str, ...],
    values: Iterable[tuple[tuple[str, ...], float]],
) -> Metric:
    """A gauge with a value for each combination of label values."""
    gauge = GaugeMetricFamily(name, text, labels=labels)
    for key, value in values:
        gauge.add_metric(key, value)
    return gauge


def _counted(name: str, text: str, label: str, counts: Mapping[Any, float]) -> Metric:
    """A gauge with a value for each value of its label."""
    return _gauge(name, text, (label,), (((key,), count) for key, count in counts.items()))


def _queues(session: Session) -> Iterator[Metric]:
    depths = jobs.queue_depths(session)
    waiting = {queue: count for queue, (count, _) in depths.items()}
    oldest = {queue: seconds for queue, (_, seconds) in depths.items()}
    yield _counted("chainrule_queue_jobs", "queued jobs", "queue", waiting)
    text = "age of the oldest queued job"
    yield _counted("chainrule_queue_oldest_seconds", text, "queue", oldest)
    text = "slots of workers that claim jobs"
    yield _counted("chainrule_slots", text, "queue", nodes.slots(session))


def _workers(session: Session) -> Iterator[Metric]:
    states = nodes.worker_states(session)
    yield _counted("chainrule_workers", "live workers", "state", states)
    text = "workers that a circuit breaker stopped"
    yield GaugeMetricFamily("chainrule_suspended_workers", text, states["suspended"])
    yield GaugeMetricFamily("chainrule_leases", "running jobs", nodes.running_jobs(session))


def _jobs(session: Session) -> Iterator[Metric]:
    yield _counted("chainrule_jobs", "jobs by status", "status", jobs.status_counts(session))
    ended = jobs.ended_attempts(session, ATTEMPT_SECONDS)
    yield _gauge(
        "chainrule_ended_attempts",
        "attempts that ended in the last hour",
        ("cause", "status"),
        (((cause, status), count) for (status, cause), count in ended.items()),
    )
    trials = sweeps.trial_counts(session)
    yield _counted("chainrule_trials", "trials of sweeps by status", "status", trials)


def _mirror(session: Session) -> Iterator[Metric]:
    chunks, lag = jobs.mirror_lag(session)
    yield GaugeMetricFamily("chainrule_mirror_chunks", "metric chunks that MLflow lacks", chunks)
    yield GaugeMetricFamily(
        "chainrule_mirror_lag_seconds", "age of the oldest of them in seconds", lag
    )


def _bytes(session: Session) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "chainrule_dataset_bytes",
        "bytes of dataset versions that are not erased; shared chunks count for each version",
        datasets.total_bytes(session),
    )
    yield GaugeMetricFamily(
        "chainrule_checkpoint_bytes",
        "bytes of checkpoints in the store",
        jobs.checkpoint_bytes(session),
    )


_READERS = (_queues, _workers, _jobs, _mirror, _bytes)
