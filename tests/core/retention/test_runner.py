"""A scheduler applies one batch of each policy at a time, pass after pass, whatever one raises."""

from collections.abc import Iterator

import pytest

from core.errors import UnavailableError
from core.retention import (
    Freed,
    Retention,
    RetentionPolicy,
    Storage,
    apply_now,
    kept_days,
    policies,
)
from core.retention.policies import POLICIES
from core.settings import Settings


class Batches(RetentionPolicy):
    """Frees batches of so many rows in each pass; 0 raises."""

    def __init__(self, kind: str, *sizes: int) -> None:
        super().__init__(kind, 1)
        self.sizes = sizes

    def overdue(self, storage: Storage) -> Freed:
        return Freed(rows=sum(self.sizes))

    def apply(self, storage: Storage) -> Iterator[Freed]:
        for size in self.sizes:
            if not size:
                raise UnavailableError("the store does not answer")
            yield Freed(rows=size)


class Clock:
    """A clock that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_each_call_applies_one_batch_of_each_policy(storage: Storage) -> None:
    reports: list[tuple[str, int]] = []
    clock, given = Clock(), [Batches("logs", 1, 2, 3), Batches("events", 10), Batches("none")]

    def report(kind: str, freed: Freed) -> None:
        reports.append((kind, freed.rows))

    retention = Retention(storage, given, report, clock)
    assert [retention.advance().rows for _ in range(5)] == [11, 2, 3, 0, 0]
    assert reports == [("events", 10), ("logs", 6)]
    clock.now = RetentionPolicy.pass_seconds
    assert retention.advance().rows == 11


def test_an_error_of_one_policy_does_not_stop_the_others(storage: Storage) -> None:
    clock = Clock()
    retention = Retention(storage, [Batches("logs", 0), Batches("events", 1, 2)], clock=clock)
    with pytest.raises(UnavailableError):
        retention.advance()
    assert retention.advance().rows == 2, "the policy that failed waits"
    clock.now = 60.0
    with pytest.raises(UnavailableError):
        retention.advance()


def test_a_request_stops_after_its_time(storage: Storage) -> None:
    given = [Batches("logs", 1, 2), Batches("events", 4)]
    freed, more = apply_now(storage, given, 60.0)
    assert {kind: part.rows for kind, part in freed.items()} == {"logs": 3, "events": 4}
    assert not more
    freed, more = apply_now(storage, given, 0.0)
    assert {kind: part.rows for kind, part in freed.items()} == {"logs": 1}
    assert more


def test_the_defaults_delete_nothing_that_somebody_misses() -> None:
    days = kept_days(Settings())
    assert days.keys() == POLICIES.keys()
    assert days["jobs"] is None
    assert days["models"] is None
    assert days["predictions"] is None
    assert {policy.kind: policy.days for policy in policies(days)} == {
        "events": 90, "logs": 30, "metrics": 90, "idempotency_keys": 7, "deliveries": 30,
        "sources": 7, "workers": 7, "checkpoints": 7, "orphans": 7,
    }  # fmt: skip


def test_zero_days_mean_for_ever() -> None:
    assert kept_days(Settings(keep_logs_days=0))["logs"] is None
