"""`make bench-sweeps`: trials a minute on two cores, and what a trial costs as a sweep grows.

All train the same networks on the same data for the same epochs, after a warm-up. Peers keep their
trials in memory; Chainrule stores them and mirrors them to MLflow.
"""

import argparse
import tempfile
import time
from pathlib import Path

from benchmarks.ports import free_port
from benchmarks.results import Row, at_least, at_most, figure, publish
from benchmarks.sweeps import overhead, service
from benchmarks.sweeps.cases import CASES
from benchmarks.sweeps.peers import PEERS
from chainrule.client import Client

SETTLE_SECONDS = 20.0
"""After the warm-up, the mirror still sends its trials to MLflow."""

PART = 1000
"""Trials at the beginning and at the end of a long sweep whose cost is compared."""

GOALS = {"Optuna + PyTorch": 10.0, "Ray Tune + PyTorch": 50.0}


def main() -> None:
    """Measure and publish."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--trials", type=int, default=1000, help="of ours")
    asked.add_argument("--peer-trials", type=int, default=40)
    asked.add_argument("--case", choices=CASES, action="append")
    asked.add_argument("--no-peers", action="store_true")
    asked.add_argument("--long", type=int, default=0, help="also a sweep of so many trials")
    asked.add_argument("--sampler", default="random", help="of the long sweep")
    given = asked.parse_args()
    rows: list[Row] = []
    rates: dict[str, float] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        service.stack(Path(folder), free_port(), free_port()) as client,
    ):
        for name in given.case or CASES:
            case = CASES[name]
            service.upload(client, case, Path(folder))
            service.seconds(client, case, service.WARM_UP, seed=1)
            time.sleep(SETTLE_SECONDS)
            taken = service.seconds(client, case, given.trials, seed=2)
            rates[name] = 60 * given.trials / taken
            shown = taken + service.seconds_until_shown(client, given.trials)
            title = f"{name}: ours"
            if name == "iris":
                rows.append(at_least(title, rates[name], "trials/min", 10_000.0))
            else:
                rows.append(figure(title, rates[name], "trials/min"))
            rows.append(figure(f"{title}, in MLflow", 60 * given.trials / shown, "trials/min"))
        if "digits" in (given.case or CASES):
            rows += overhead.rows(client, Path(folder))
        if given.long:
            rows += flatness(client, given.long, given.sampler)
    for name in () if given.no_peers else given.case or CASES:
        for peer, measure in PEERS.items():
            try:
                rate = 60 * given.peer_trials / measure(CASES[name], given.peer_trials)
            except ImportError as error:
                print(f"{peer} is not measured: {error}", flush=True)
                continue
            rows.append(figure(f"{name}: {peer}", rate, "trials/min"))
            ratio = rates[name] / rate
            if name == "digits" and peer in GOALS:
                rows.append(at_least(f"{name}: ours / {peer}", ratio, "x", GOALS[peer]))
            else:
                rows.append(figure(f"{name}: ours / {peer}", ratio, "x"))
    publish("sweeps", rows)


def flatness(client: Client, trials: int, sampler: str) -> list[Row]:
    """Compare the time of a trial at the end of a long sweep with that at its start."""
    part = min(PART, trials // 4)
    # Not the very first: workers that waited have to wake up.
    start = part // 4
    changes = {"sampler": {"kind": sampler, "seed": 4}}
    progress = service.course(client, CASES["iris"], trials, seed=4, **changes)
    first, last = (
        1000 * service.between(progress, *ends)
        for ends in ((start, start + part), (trials - part, trials))
    )
    name = f"iris, {sampler}: a trial of the {{}} {part} of {trials}"
    return [
        figure(name.format("first"), first, "ms"),
        figure(name.format("last"), last, "ms"),
        at_most(f"iris, {sampler}: last {part} / first {part}", last / first, "x", 1.1),
    ]


if __name__ == "__main__":
    main()
