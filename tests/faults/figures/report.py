"""The figures of a run of faults, as rows of a benchmark."""

import statistics
from collections import Counter
from collections.abc import Sequence

from benchmarks.results import Row, at_least, at_most, figure
from tests.faults.cluster.stack import LEASE_SECONDS
from tests.faults.crash_site import Result
from tests.faults.figures import baseline
from tests.faults.nemesis import Outcome
from tests.faults.verdict import DOUBLED, LOST, WRONG, Verdict


def said(outcome: Outcome) -> str:
    """One fault in a line, with its history when something is broken."""
    if outcome.skipped:
        return f"{outcome.fault}: skipped, {outcome.skipped}"
    again = outcome.from_fault_seconds
    after = "" if again is None else f", trained again {again:.1f} s after it"
    tries = f", struck at try {len(outcome.missed) + 1}" if outcome.missed else ""
    what = outcome.struck[0] if outcome.struck else "nothing struck"
    attempts = f"{outcome.verdict.attempts} attempts"
    line = f"{outcome.fault} seed {outcome.seed}: {what}; {attempts}{after}{tries}"
    broken = outcome.broken
    return "\n".join([line, *outcome.verdict.history, *broken] if broken else [line])


def of_matrix(outcomes: Sequence[Outcome]) -> list[Row]:
    """What the faults of the matrix did."""
    done = [one for one in outcomes if not one.skipped]
    struck = [one for one in done if one.struck]
    verdicts = [one.verdict for one in outcomes]
    rows = [
        at_least("faults that struck", len({one.fault for one in struck}), "", 30),
        figure("runs that struck", len(struck), ""),
        at_most("runs that struck nothing", len(done) - len(struck), "", 0),
        figure("runs skipped for want of a tool", len(outcomes) - len(done), ""),
        figure("jobs", sum(one.jobs for one in verdicts), ""),
        figure("attempts", sum(one.attempts for one in verdicts), ""),
        *_bad("", verdicts),
    ]
    for name, seconds in (
        ("fault to training", [one.from_fault_seconds for one in struck]),
        ("healing to training", [one.from_healing_seconds for one in struck]),
    ):
        rows += spread(name, [one for one in seconds if one is not None])
    for name, fault, most in (
        ("runner killed to training, longest", "runner_killed", 5.0),
        ("worker gone to training, longest", "worker_tree_killed", LEASE_SECONDS + 5),
        ("machine gone to training, longest", "machine_gone", LEASE_SECONDS + 5),
    ):
        taken = [one.from_fault_seconds for one in struck if one.fault == fault]
        if taken:
            longest = max((one for one in taken if one is not None), default=float("inf"))
            rows.append(at_most(name, longest, "s", most))
    return rows


def of_around(outcomes: Sequence[Outcome], prefix: str = "around: ") -> list[Row]:
    """What faults of MLflow, the api, disks and stores did."""
    done = [one for one in outcomes if not one.skipped]
    struck = [one for one in done if one.struck]
    mirrored = [one.mirrored_seconds for one in struck if one.mirrored_seconds is not None]
    return [
        figure(f"{prefix}faults that struck", len({one.fault for one in struck}), ""),
        at_most(f"{prefix}runs that struck nothing", len(done) - len(struck), "", 0),
        figure(f"{prefix}runs skipped for want of a tool", len(outcomes) - len(done), ""),
        figure(f"{prefix}jobs", sum(one.verdict.jobs for one in done), ""),
        *_bad(prefix, [one.verdict for one in done]),
        *spread(f"{prefix}healing, or the end if later, to all of it in MLflow", mirrored),
        at_most(f"{prefix}longest of those", max(mirrored, default=0.0), "s", 60.0),
    ]


def of_crashes(name: str, results: Sequence[Result]) -> list[Row]:
    """What kills at random moments, or harm at named places, did."""
    return [
        figure(f"{name}", sum(one.struck is not None for one in results), ""),
        at_most(f"{name} that struck nothing", sum(one.struck is None for one in results), "", 0),
        *_bad(f"{name}: ", [one.verdict for one in results]),
    ]


def of_naive(found: Counter[str], outcomes: Sequence[Outcome]) -> list[Row]:
    """What became of a naive application's jobs, and of Chainrule's in faults of that kind."""
    same = {ours for _, ours in baseline.FAULTS.values()}
    verdicts = [one.verdict for one in outcomes if one.fault in same]
    rows = [figure("naive Celery: jobs", found["jobs"], "")]
    rows += [
        figure(f"naive Celery: {kind}", found[kind], "jobs") for kind in (LOST, DOUBLED, WRONG)
    ]
    bad = sum(found[kind] for kind in (LOST, DOUBLED, WRONG))
    rows.append(at_least("naive Celery: not as they should be", bad, "jobs", 1))
    if verdicts:
        rows.append(figure("Chainrule in the same faults: jobs", sum(v.jobs for v in verdicts), ""))
        rows += _bad("Chainrule in the same faults: ", verdicts)
    return rows


def spread(name: str, seconds: Sequence[float]) -> list[Row]:
    """The middle and the 99th percentile."""
    if not seconds:
        return []
    return [
        figure(f"{name} p50", statistics.median(seconds), "s"),
        figure(f"{name} p99", ninety_nine(seconds), "s"),
    ]


def ninety_nine(values: Sequence[float]) -> float:
    """The 99th percentile; of less than a hundred values the largest."""
    ascending = sorted(values)
    return ascending[min(len(ascending) - 1, int(len(ascending) * 0.99))]


def _bad(prefix: str, verdicts: Sequence[Verdict]) -> list[Row]:
    return [
        at_most(f"{prefix}{kind}", sum(one.count(kind) for one in verdicts), "jobs", 0)
        for kind in (LOST, DOUBLED, WRONG)
    ]
