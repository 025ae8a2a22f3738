"""Inject faults and write benchmarks/results/faults.json: python -m tests.faults --help."""

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from benchmarks.results import Row, publish
from tests.faults.checker import DOUBLED, LOST, WRONG
from tests.faults.cluster.bucket import bucket
from tests.faults.cluster.full_stack import FullStack
from tests.faults.cluster.stack import Stack
from tests.faults.crash_injector import (
    CrashInjector,
    CrashPlan,
    Result,
    crash_points,
    random_kills,
)
from tests.faults.figures import baseline, latency, report
from tests.faults.injector import FaultInjector, Outcome
from tests.faults.matrix import FAULTS
from tests.faults.soak import Soak

OTHER_PARTS = ("mlflow", "api", "disks", "bucket")
"""What faults need that the part `matrix` does not include."""
PARTS = ("matrix", "services", "bucket", "kills", "points", "naive", "cancels", "outage", "mlflow")


class Run:
    """Runs the parts; collects their figures and whether an invariant was violated."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.rows: list[Row] = []
        self.failed = False
        self.outcomes: list[Outcome] = []
        self.give_up_at = time.monotonic() + options.minutes * 60

    def matrix(self, folder: Path) -> None:
        """The faults of processes, servers, links and machines, or those of `--only`."""
        names = self.options.only or [
            name for name, fault in FAULTS.items() if fault.needs not in OTHER_PARTS
        ]
        with closing(FullStack(folder)) as stack:
            outcomes = self._faults(stack, names)
        self.rows += report.of_matrix(outcomes)

    def services(self, folder: Path) -> None:
        """The faults of MLflow, the api and disks."""
        with closing(FullStack(folder)) as stack:
            names = [name for name, fault in FAULTS.items() if fault.of_services]
            outcomes = self._faults(stack, names)
        self.rows += report.of_services(outcomes)

    def bucket(self, folder: Path) -> None:
        """The faults of a store that speaks S3."""
        with bucket() as store, closing(FullStack(folder, bucket=store)) as stack:
            names = [name for name in self.options.only or FAULTS if FAULTS[name].needs == "bucket"]
            outcomes = self._faults(stack, names)
        self.rows += report.of_services(outcomes, "bucket: ")

    def _faults(self, stack: Stack, names: list[str]) -> list[Outcome]:
        injector = FaultInjector(stack)
        outcomes: list[Outcome] = []
        for seed in range(self.options.seed, self.options.seed + self.options.repeat):
            for name in names:
                if time.monotonic() < self.give_up_at:
                    outcomes.append(injector.run(name, seed))
                    print(report.summary(outcomes[-1]), flush=True)
        self.failed |= any(outcome.problems for outcome in outcomes)
        self.outcomes += outcomes
        return outcomes

    def kills(self, folder: Path) -> None:
        """Kills at random moments."""
        options = self.options
        self._crashes(
            "random kills",
            folder,
            lambda injector: random_kills(options.kills, options.seed, injector.steps),
        )

    def points(self, folder: Path) -> None:
        """Every crash point: killed, outcome unknown, and paused."""
        self._crashes("crash points", folder, lambda _: crash_points())

    def _crashes(
        self, name: str, folder: Path, plans: Callable[[CrashInjector], list[CrashPlan]]
    ) -> None:
        results: list[Result] = []
        with closing(CrashInjector(folder)) as injector:
            for result in injector.run(plans(injector)):
                results.append(result)
                print(f"{result.plan.name}: {result.checker.attempts} attempts", flush=True)
                if result.problems:
                    print("\n".join([*result.checker.history, *result.problems]), flush=True)
        self.failed |= any(result.problems for result in results)
        self.rows += report.of_crashes(name, results)

    def naive(self, folder: Path) -> None:
        """The same faults on a naive Celery application, which must lose or spoil a job."""
        with closing(baseline.Naive(folder)) as application:
            counts = baseline.run(application)
        self.failed |= not any(counts[kind] for kind in (LOST, DOUBLED, WRONG))
        self.rows += report.of_naive(counts, self.outcomes)

    def cancels(self, folder: Path) -> None:
        """How long it takes to cancel a job that trains."""
        with closing(Stack(folder)) as stack:
            self.rows += latency.of_cancels(stack)

    def outage(self, folder: Path) -> None:
        """PostgreSQL stopped for 40 seconds, with the default lease."""
        self.rows += latency.of_outage(folder)

    def mlflow(self, folder: Path) -> None:
        """How much slower training is while MLflow is stopped."""
        with closing(FullStack(folder)) as stack:
            self.rows += latency.of_mlflow_outage(stack)

    def soak(self, folder: Path) -> None:
        """Many jobs under a sequence of random faults."""
        with closing(FullStack(folder)) as stack:
            soak = Soak(stack, self.options.seed)
            soak.run(self.options.soak, self.options.soak_faults, self.give_up_at)
        self.failed |= bool(soak.checker.violations)
        print("\n".join(soak.checker.messages), flush=True)
        self.rows += soak.rows()


def main() -> int:
    """Run the parts that the command line names; 1 if an invariant was violated."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="decides targets and moments")
    parser.add_argument("--repeat", type=int, default=1, help="rounds, each with its own seed")
    parser.add_argument(
        "--only", action="append", choices=sorted(FAULTS), help="run this fault; repeatable"
    )
    parser.add_argument("--part", action="append", choices=PARTS, help="run this part; repeatable")
    parser.add_argument("--kills", type=int, default=200, help="number of random kills")
    parser.add_argument("--soak", type=int, default=0, help="run only a soak of this many jobs")
    parser.add_argument(
        "--soak-faults", type=int, help="number of faults of the soak; default: without a pause"
    )
    parser.add_argument(
        "--minutes", type=float, default=600.0, help="start no fault after this many minutes"
    )
    options = parser.parse_args()
    # SIGTERM must not leave servers and folders behind: an exit unwinds the context managers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    run = Run(options)
    parts = ["soak"] if options.soak else options.part or (["matrix"] if options.only else PARTS)
    for part in parts:
        with tempfile.TemporaryDirectory(prefix="chainrule-faults-") as folder:
            getattr(run, part)(Path(folder))
    publish("faults", run.rows)
    return int(run.failed)


if __name__ == "__main__":
    sys.exit(main())
