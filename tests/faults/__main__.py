"""Run the faults and write benchmarks/results/faults.json: python -m tests.faults --help."""

import argparse
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from benchmarks.results import Row, publish
from tests.faults import baseline, report
from tests.faults.crashsite import CrashSite, Plan, Result, crash_points, random_kills
from tests.faults.matrix import FAULTS
from tests.faults.nemesis import Nemesis, Outcome
from tests.faults.surroundings import WholeStack
from tests.faults.verdict import DOUBLED, LOST, WRONG

PARTS = ("matrix", "kills", "points", "naive")


class Run:
    """Everything that was asked for, one part after the other."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given = given
        self.rows: list[Row] = []
        self.broken = False
        self.outcomes: list[Outcome] = []
        self.give_up_at = time.monotonic() + given.minutes * 60

    def matrix(self, folder: Path) -> None:
        """Every fault of the matrix, or those that were named."""
        given = self.given
        with closing(WholeStack(folder)) as stack:
            nemesis = Nemesis(stack)
            for seed in range(given.seed, given.seed + given.repeat):
                for name in given.only or FAULTS:
                    if time.monotonic() < self.give_up_at:
                        self.outcomes.append(nemesis.run(name, seed))
                        print(report.said(self.outcomes[-1]), flush=True)
        self.broken |= any(one.broken for one in self.outcomes)
        self.rows += report.of_matrix(self.outcomes)

    def kills(self, folder: Path) -> None:
        """Kills at random moments."""
        given = self.given
        self._crashes(
            "random kills", folder, lambda site: random_kills(given.kills, given.seed, site.steps)
        )

    def points(self, folder: Path) -> None:
        """Every named place, killed, unknown and paused."""
        self._crashes("named crash points", folder, lambda site: crash_points())

    def _crashes(self, name: str, folder: Path, plans: Callable[[CrashSite], list[Plan]]) -> None:
        results: list[Result] = []
        with closing(CrashSite(folder)) as site:
            for result in site.run(plans(site)):
                results.append(result)
                print(f"{result.plan.name}: {result.verdict.attempts} attempts", flush=True)
                if result.broken:
                    print("\n".join([*result.verdict.history, *result.broken]), flush=True)
        self.broken |= any(one.broken for one in results)
        self.rows += report.of_crashes(name, results)

    def naive(self, folder: Path) -> None:
        """Faults of a naive Celery application: they have to do harm there."""
        with closing(baseline.Naive(folder)) as application:
            found: Counter[str] = baseline.run(application)
        self.broken |= not any(found[kind] for kind in (LOST, DOUBLED, WRONG))
        self.rows += report.of_naive(found, self.outcomes)


def main() -> int:
    """Run what was asked for; 1 when an invariant did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="decides moments and victims")
    parser.add_argument("--repeat", type=int, default=1, help="rounds; each has its own seed")
    parser.add_argument("--only", action="append", choices=sorted(FAULTS), help="a fault; repeat")
    parser.add_argument("--part", action="append", choices=PARTS, help="a part of all; repeat")
    parser.add_argument("--kills", type=int, default=200, help="kills at random moments")
    parser.add_argument("--minutes", type=float, default=600.0, help="begin no fault after these")
    given = parser.parse_args()
    # Whoever ends it with SIGTERM is to find nothing left of it either.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    run = Run(given)
    for part in given.part or (("matrix",) if given.only else PARTS):
        with tempfile.TemporaryDirectory(prefix="chainrule-faults-") as folder:
            getattr(run, part)(Path(folder))
    publish("faults", run.rows)
    return int(run.broken)


if __name__ == "__main__":
    sys.exit(main())
