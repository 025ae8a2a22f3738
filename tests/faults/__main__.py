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
from tests.faults.cluster.bucket import bucket
from tests.faults.cluster.stack import Stack
from tests.faults.cluster.surroundings import WholeStack
from tests.faults.crash_site import CrashSite, Plan, Result, crash_points, random_kills
from tests.faults.figures import baseline, pace, report
from tests.faults.matrix import FAULTS
from tests.faults.nemesis import Nemesis, Outcome
from tests.faults.soak import Soak
from tests.faults.verdict import DOUBLED, LOST, WRONG

APART = ("mlflow", "api", "disks", "bucket")
"""What faults need that have a part of their own."""
PARTS = ("matrix", "around", "bucket", "kills", "points", "naive", "cancels", "outage", "mlflow")


class Run:
    """Everything that was asked for, one part after the other."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given = given
        self.rows: list[Row] = []
        self.broken = False
        self.outcomes: list[Outcome] = []
        self.give_up_at = time.monotonic() + given.minutes * 60

    def matrix(self, folder: Path) -> None:
        """The faults of processes, servers, links and machines, or those that were named.

        After each, jobs are judged by the database and by what MLflow shows.
        """
        names = self.given.only or [one for one in FAULTS if FAULTS[one].needs not in APART]
        with closing(WholeStack(folder)) as stack:
            outcomes = self._faults(stack, names)
        self.rows += report.of_matrix(outcomes)

    def around(self, folder: Path) -> None:
        """The faults of MLflow, the api, stores and disks."""
        with closing(WholeStack(folder)) as stack:
            outcomes = self._faults(stack, [name for name in FAULTS if FAULTS[name].around])
        self.rows += report.of_around(outcomes)

    def bucket(self, folder: Path) -> None:
        """The faults of a store that speaks S3."""
        with bucket() as store, closing(WholeStack(folder, bucket=store)) as stack:
            names = [one for one in self.given.only or FAULTS if FAULTS[one].needs == "bucket"]
            outcomes = self._faults(stack, names)
        self.rows += report.of_around(outcomes, "bucket: ")

    def _faults(self, stack: Stack, names: list[str]) -> list[Outcome]:
        nemesis, outcomes = Nemesis(stack), []
        for seed in range(self.given.seed, self.given.seed + self.given.repeat):
            for name in names:
                if time.monotonic() < self.give_up_at:
                    outcomes.append(nemesis.run(name, seed))
                    print(report.said(outcomes[-1]), flush=True)
        self.broken |= any(one.broken for one in outcomes)
        self.outcomes += outcomes
        return outcomes

    def kills(self, folder: Path) -> None:
        """Kills at random moments."""
        given = self.given
        self._crashes(
            "random kills", folder, lambda site: random_kills(given.kills, given.seed, site.steps)
        )

    def points(self, folder: Path) -> None:
        """Every named place, killed, unknown and paused."""
        self._crashes("named crash points", folder, lambda _: crash_points())

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

    def cancels(self, folder: Path) -> None:
        """How fast cancelling is."""
        with closing(Stack(folder)) as stack:
            self.rows += pace.of_cancels(stack)

    def outage(self, folder: Path) -> None:
        """PostgreSQL away for 40 seconds, with the lease that is the default."""
        self.rows += pace.of_outage(folder)

    def mlflow(self, folder: Path) -> None:
        """What MLflow being away costs training."""
        with closing(WholeStack(folder)) as stack:
            self.rows += pace.of_mlflow_away(stack)

    def soak(self, folder: Path) -> None:
        """Many jobs with one random fault after the other."""
        with closing(WholeStack(folder)) as stack:
            soak = Soak(stack, self.given.seed)
            soak.run(self.given.soak, self.given.soak_faults, self.give_up_at)
        self.broken |= bool(soak.verdict.bad)
        print("\n".join(soak.verdict.said), flush=True)
        self.rows += soak.rows()


def main() -> int:
    """Run what was asked for; 1 when an invariant did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="decides moments and victims")
    parser.add_argument("--repeat", type=int, default=1, help="rounds; each has its own seed")
    parser.add_argument("--only", action="append", choices=sorted(FAULTS), help="a fault; repeat")
    parser.add_argument("--part", action="append", choices=PARTS, help="a part of all; repeat")
    parser.add_argument("--kills", type=int, default=200, help="kills at random moments")
    parser.add_argument("--soak", type=int, default=0, help="only this: jobs with random faults")
    parser.add_argument("--soak-faults", type=int, help="how many; else one after the other")
    parser.add_argument("--minutes", type=float, default=600.0, help="begin no fault after these")
    given = parser.parse_args()
    # Whoever ends it with SIGTERM is to find nothing left of it either.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    run = Run(given)
    parts = ["soak"] if given.soak else given.part or (["matrix"] if given.only else PARTS)
    for part in parts:
        with tempfile.TemporaryDirectory(prefix="chainrule-faults-") as folder:
            getattr(run, part)(Path(folder))
    publish("faults", run.rows)
    return int(run.broken)


if __name__ == "__main__":
    sys.exit(main())
