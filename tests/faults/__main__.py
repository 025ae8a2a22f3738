"""Run the faults and write benchmarks/results/faults.json: python -m tests.faults --help."""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.results import Row, at_least, at_most, figure, publish
from tests.faults.matrix import FAULTS
from tests.faults.nemesis import Nemesis, Outcome
from tests.faults.stack import LEASE_SECONDS, Stack
from tests.faults.verdict import DOUBLED, LOST, WRONG


def main() -> int:
    """Run what was asked for; 1 when an invariant did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="decides moments and victims")
    parser.add_argument("--repeat", type=int, default=1, help="rounds; each has its own seed")
    parser.add_argument("--only", action="append", choices=sorted(FAULTS), help="a fault; repeat")
    parser.add_argument("--minutes", type=float, default=600.0, help="begin no fault after these")
    given = parser.parse_args()
    give_up_at = time.monotonic() + given.minutes * 60
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory(prefix="chainrule-faults-") as folder:
        stack = Stack(Path(folder))
        try:
            nemesis = Nemesis(stack)
            for seed in range(given.seed, given.seed + given.repeat):
                for name in given.only or FAULTS:
                    if time.monotonic() < give_up_at:
                        outcomes.append(nemesis.run(name, seed))
                        _say(outcomes[-1])
        finally:
            stack.close()
    publish("faults", _rows(outcomes))
    return int(any(one.broken for one in outcomes))


def _say(outcome: Outcome) -> None:
    again = outcome.from_fault_seconds
    after = "" if again is None else f", trained again {again:.1f} s after it"
    tries = f", struck at try {len(outcome.missed) + 1}" if outcome.missed else ""
    what = outcome.struck[0] if outcome.struck else "nothing struck"
    attempts = f"{outcome.verdict.attempts} attempts"
    print(f"{outcome.fault} seed {outcome.seed}: {what}; {attempts}{after}{tries}", flush=True)
    if outcome.broken:
        print("\n".join([*outcome.verdict.history, *outcome.broken]), flush=True)


def _rows(outcomes: list[Outcome]) -> list[Row]:
    struck = [one for one in outcomes if one.struck]
    rows = [
        at_least("faults that struck", len({one.fault for one in struck}), "", 30),
        figure("runs that struck", len(struck), ""),
        at_most("runs that struck nothing", len(outcomes) - len(struck), "", 0),
        figure("jobs", sum(one.verdict.jobs for one in outcomes), ""),
        figure("attempts", sum(one.verdict.attempts for one in outcomes), ""),
    ]
    for kind in (LOST, DOUBLED, WRONG):
        count = sum(one.verdict.count(kind) for one in outcomes)
        rows.append(at_most(kind, count, "jobs", 0))
    for name, seconds in (
        ("fault to training", [one.from_fault_seconds for one in struck]),
        ("healing to training", [one.from_healing_seconds for one in struck]),
    ):
        rows += _spread(name, [one for one in seconds if one is not None])
    killed = [one.from_fault_seconds for one in struck if one.fault == "runner_killed"]
    gone = [one.from_fault_seconds for one in struck if one.fault == "worker_tree_killed"]
    if killed:
        rows.append(at_most("runner killed to training, longest", _longest(killed), "s", 5))
    if gone:
        most = LEASE_SECONDS + 5
        rows.append(at_most("machine gone to training, longest", _longest(gone), "s", most))
    return rows


def _longest(seconds: list[float | None]) -> float:
    return max((one for one in seconds if one is not None), default=float("inf"))


def _spread(name: str, seconds: list[float]) -> list[Row]:
    if not seconds:
        return []
    ascending = sorted(seconds)
    last = ascending[min(len(ascending) - 1, int(len(ascending) * 0.99))]
    return [
        figure(f"{name} p50", statistics.median(ascending), "s"),
        figure(f"{name} p99", last, "s"),
    ]


if __name__ == "__main__":
    sys.exit(main())
