"""`make bench-sweeps`: trials a minute on two cores, and what a trial costs as a sweep grows.

Everybody trains the same networks on the same data for as many epochs and is warm before. Peers
keep their trials in memory; ours are stored, and shown in MLflow meanwhile.
"""

import argparse
import tempfile
import time
from pathlib import Path

from benchmarks.ports import free_port
from benchmarks.results import Row, at_least, at_most, figure, publish
from benchmarks.sweeps import ours
from benchmarks.sweeps.cases import CASES
from benchmarks.sweeps.peers import PEERS

SETTLE_SECONDS = 20.0
"""After the warm-up MLflow is still being told of it."""

GOALS = {"Optuna + PyTorch": 10.0, "Ray Tune + PyTorch": 50.0}


def main() -> None:
    """Measure and publish."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--trials", type=int, default=1000, help="of ours")
    asked.add_argument("--peer-trials", type=int, default=40)
    asked.add_argument("--case", choices=CASES, action="append")
    asked.add_argument("--no-peers", action="store_true")
    asked.add_argument("--long", type=int, default=0, help="also a sweep of so many trials")
    given = asked.parse_args()
    rows: list[Row] = []
    rates: dict[str, float] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        ours.stack(Path(folder), free_port(), free_port()) as client,
    ):
        for name in given.case or CASES:
            case = CASES[name]
            ours.upload(client, case, Path(folder))
            ours.seconds(client, case, ours.WARM_UP, seed=1)
            time.sleep(SETTLE_SECONDS)
            rates[name] = 60 * given.trials / ours.seconds(client, case, given.trials, seed=2)
            title = f"{name}: ours"
            if name == "iris":
                rows.append(at_least(title, rates[name], "trials/min", 10_000.0))
            else:
                rows.append(figure(title, rates[name], "trials/min"))
        if given.long:
            small = ours.seconds(client, CASES["iris"], 100, seed=3) / 100
            large = ours.seconds(client, CASES["iris"], given.long, seed=4) / given.long
            name = f"iris: cost of a trial among {given.long} / among 100"
            rows.append(at_most(name, large / small, "x", 1.1))
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


if __name__ == "__main__":
    main()
