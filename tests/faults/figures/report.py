"""The figures of injected faults, as rows of a benchmark."""

import statistics
from collections import Counter
from collections.abc import Sequence

from benchmarks.results import Row, at_least, at_most, figure
from tests.faults.checker import DOUBLED, LOST, WRONG, Checker
from tests.faults.cluster.stack import LEASE_SECONDS
from tests.faults.crash_injector import Result
from tests.faults.figures import baseline
from tests.faults.injector import Outcome


def summary(outcome: Outcome) -> str:
    """One fault in a line, followed by its history if there are problems."""
    if outcome.skipped:
        return f"{outcome.fault}: skipped, {outcome.skipped}"
    seconds = outcome.from_fault_seconds
    recovery = "" if seconds is None else f", trained again {seconds:.1f} s after it"
    tries = f", hit at try {len(outcome.misses) + 1}" if outcome.misses else ""
    what = outcome.hits[0] if outcome.hits else "nothing hit"
    attempts = f"{outcome.checker.attempts} attempts"
    line = f"{outcome.fault} seed {outcome.seed}: {what}; {attempts}{recovery}{tries}"
    problems = outcome.problems
    return "\n".join([line, *outcome.checker.history, *problems] if problems else [line])


def of_matrix(outcomes: Sequence[Outcome]) -> list[Row]:
    """The figures of the part `matrix`."""
    done = [outcome for outcome in outcomes if not outcome.skipped]
    hit = [outcome for outcome in done if outcome.hits]
    checkers = [outcome.checker for outcome in outcomes]
    rows = [
        at_least("faults that hit", len({outcome.fault for outcome in hit}), "", 30),
        figure("runs that hit", len(hit), ""),
        at_most("runs that hit nothing", len(done) - len(hit), "", 0),
        figure("runs skipped for a missing tool", len(outcomes) - len(done), ""),
        figure("jobs", sum(checker.jobs for checker in checkers), ""),
        figure("attempts", sum(checker.attempts for checker in checkers), ""),
        *_violations("", checkers),
    ]
    for name, seconds in (
        ("fault to training", [outcome.from_fault_seconds for outcome in hit]),
        ("repair to training", [outcome.from_repair_seconds for outcome in hit]),
    ):
        rows += spread(name, [value for value in seconds if value is not None])
    for name, fault, most in (
        ("runner killed to training, longest", "runner_killed", 5.0),
        ("worker gone to training, longest", "worker_tree_killed", LEASE_SECONDS + 5),
        ("machine gone to training, longest", "machine_gone", LEASE_SECONDS + 5),
    ):
        seconds = [outcome.from_fault_seconds for outcome in hit if outcome.fault == fault]
        if seconds:
            longest = max((it for it in seconds if it is not None), default=float("inf"))
            rows.append(at_most(name, longest, "s", most))
    return rows


def of_services(outcomes: Sequence[Outcome], prefix: str = "services: ") -> list[Row]:
    """The figures of the parts `services` and `bucket`."""
    done = [outcome for outcome in outcomes if not outcome.skipped]
    hit = [outcome for outcome in done if outcome.hits]
    mirrored = [it.mirrored_seconds for it in hit if it.mirrored_seconds is not None]
    return [
        figure(f"{prefix}faults that hit", len({outcome.fault for outcome in hit}), ""),
        at_most(f"{prefix}runs that hit nothing", len(done) - len(hit), "", 0),
        figure(f"{prefix}runs skipped for a missing tool", len(outcomes) - len(done), ""),
        figure(f"{prefix}jobs", sum(outcome.checker.jobs for outcome in done), ""),
        *_violations(prefix, [outcome.checker for outcome in done]),
        *spread(f"{prefix}repair, or the end if later, to all points in MLflow", mirrored),
        at_most(f"{prefix}longest of those", max(mirrored, default=0.0), "s", 60.0),
    ]


def of_crashes(name: str, results: Sequence[Result]) -> list[Row]:
    """The figures of the parts `kills` and `points`."""
    return [
        figure(name, sum(result.triggered is not None for result in results), ""),
        at_most(
            f"{name} not triggered", sum(result.triggered is None for result in results), "", 0
        ),
        *_violations(f"{name}: ", [result.checker for result in results]),
    ]


def of_naive(counts: Counter[str], outcomes: Sequence[Outcome]) -> list[Row]:
    """The figures of the naive application, and of Chainrule under the same faults."""
    same = {fault for _, fault in baseline.FAULTS.values()}
    checkers = [outcome.checker for outcome in outcomes if outcome.fault in same]
    rows = [figure("naive Celery: jobs", counts["jobs"], "")]
    rows += [
        figure(f"naive Celery: {kind}", counts[kind], "jobs") for kind in (LOST, DOUBLED, WRONG)
    ]
    bad = sum(counts[kind] for kind in (LOST, DOUBLED, WRONG))
    rows.append(at_least("naive Celery: lost, doubled or wrong", bad, "jobs", 1))
    if checkers:
        prefix = "Chainrule under the same faults: "
        rows.append(figure(f"{prefix}jobs", sum(checker.jobs for checker in checkers), ""))
        rows += _violations(prefix, checkers)
    return rows


def spread(name: str, seconds: Sequence[float]) -> list[Row]:
    """The median and the 99th percentile; no rows without values."""
    if not seconds:
        return []
    return [
        figure(f"{name} p50", statistics.median(seconds), "s"),
        figure(f"{name} p99", percentile_99(seconds), "s"),
    ]


def percentile_99(values: Sequence[float]) -> float:
    """The 99th percentile; of fewer than a hundred values the largest."""
    ascending = sorted(values)
    return ascending[min(len(ascending) - 1, int(len(ascending) * 0.99))]


def _violations(prefix: str, checkers: Sequence[Checker]) -> list[Row]:
    return [
        at_most(f"{prefix}{kind}", sum(checker.count(kind) for checker in checkers), "jobs", 0)
        for kind in (LOST, DOUBLED, WRONG)
    ]
