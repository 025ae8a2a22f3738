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
from tests.faults.stack import Stack


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
    recovery = outcome.recovery_seconds
    again = "" if recovery is None else f", training again after {recovery:.1f} s"
    print(f"{outcome.fault} seed {outcome.seed}: {outcome.attempts} attempts{again}", flush=True)
    if outcome.broken:
        print("\n".join([*outcome.history, *outcome.broken]), flush=True)


def _rows(outcomes: list[Outcome]) -> list[Row]:
    kinds = {one.fault for one in outcomes}
    recoveries = sorted(
        one.recovery_seconds for one in outcomes if one.recovery_seconds is not None
    )
    rows = [
        at_least("faults", len(kinds), "", 30),
        figure("runs", len(outcomes), ""),
        figure("jobs", sum(one.jobs for one in outcomes), ""),
        figure("attempts", sum(one.attempts for one in outcomes), ""),
        at_most("lost", sum(len(one.lost) for one in outcomes), "jobs", 0),
        at_most("doubled", sum(len(one.doubled) for one in outcomes), "jobs", 0),
        at_most("wrong", sum(len(one.wrong) for one in outcomes), "jobs", 0),
    ]
    if recoveries:
        rows.append(figure("healed to training p50", statistics.median(recoveries), "s"))
        rows.append(figure("healed to training p99", _ninety_nine(recoveries), "s"))
    return rows


def _ninety_nine(ascending: list[float]) -> float:
    return ascending[min(len(ascending) - 1, int(len(ascending) * 0.99))]


if __name__ == "__main__":
    sys.exit(main())
