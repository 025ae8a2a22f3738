"""Sweeps of fifty trials while workers are killed and the broker loses all it knew.

`python -m tests.faults.sweeps` does it with a hundred sweeps, ten at a time on one stack.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from core import sweeps
from core.db.session import reading, transaction
from core.events import EpochEnded
from core.spec.job import DIGITS
from core.spec.sweep import SweepSpec
from core.training.loop import train
from tests.faults.cluster.stack import Stack
from tests.support.worker_cases import parse_digits
from tests.support.worker_processes import Process

TRIALS = 50
METRIC = "valid/loss"
AT = (3, 12, 22, 32, 42)
"""Something is struck each time that so many trials have ended."""

SPACE: dict[str, dict[str, Any]] = {
    "optimizer.learning_rate": {"kind": "categorical", "choices": [1e-4, 3e-4, 1e-3, 3e-3, 1e-2]},
    "seed": {"kind": "int", "low": 0, "high": 9, "step": 1},
}
GRID: dict[str, Any] = {"kind": "grid", "seed": 5}
TPE: dict[str, Any] = {"kind": "tpe", "seed": 5}


def spec(sampler: Mapping[str, Any]) -> SweepSpec:
    """A search of fifty small networks; a job is tried as often as by default."""
    network = [{"kind": "dense", "units": 16}, {"kind": "relu"}, {"kind": "dense", "units": 10}]
    job = {**DIGITS, "network": network, "epochs": 12}
    return SweepSpec.model_validate(
        {
            "name": "chaos",
            "job": job,
            "search_space": SPACE,
            "objective": {"metric": METRIC, "direction": "minimize"},
            "sampler": dict(sampler),
            "n_trials": TRIALS,
            "max_parallel": 10,
        }
    )


def point_key(point: Mapping[str, Any]) -> tuple[Any, ...]:
    """A point of the space, to look its result up."""
    return tuple(point[path] for path in SPACE)


def reference(folder: Path) -> dict[tuple[Any, ...], float]:
    """The objective at every point of the grid, trained one after another in this process."""
    wanted, found = spec(GRID), {}
    table = parse_digits(folder).path
    with threadpool_limits(1):
        for rate in SPACE["optimizer.learning_rate"]["choices"]:
            for seed in range(10):
                point = {"optimizer.learning_rate": rate, "seed": seed}
                last = None
                for event in train(wanted.at(point), table, folder):
                    last = event if isinstance(event, EpochEnded) else last
                assert last is not None
                found[point_key(point)] = float(last.metrics[METRIC])
    return found


@dataclass
class Round:
    """Sweeps under the same faults: what was struck, and how each of them came out wrong."""

    struck: list[str] = field(default_factory=list)
    broken: dict[str, list[str]] = field(default_factory=dict)
    seconds: float = 0.0


def chaos(
    stack: Stack,
    samplers: Sequence[Mapping[str, Any]],
    seed: int,
    known: Mapping[tuple[Any, ...], float],
    *,
    most_seconds: float = 600.0,
) -> Round:
    """Let sweeps run side by side while faults strike, and compare each with the reference."""
    outcome, rng = Round(), random.Random(seed)
    begun = time.monotonic()
    with transaction(stack.bench.engine) as session:
        version = session.merge(stack.bench.version)
        ids = [
            sweeps.start(session, spec(one), version, owner="local", max_weights_bytes=2**30).id
            for one in samplers
        ]
    faults = [_kill_runner, _kill_worker, _empty_broker, _kill_scheduler, _kill_worker]
    waiting = list(zip(AT, rng.sample(faults, len(faults)), strict=True))
    over: set[str] = set()
    while len(over) < len(ids) and time.monotonic() - begun < most_seconds:
        finished = 0
        with reading(stack.bench.engine) as session:
            for one in ids:
                finished += sweeps.counts(session, one).get("finished", 0)
                if sweeps.get(session, one).status.terminal:
                    over.add(one)
        if waiting and finished >= waiting[0][0] * len(ids):
            time.sleep(rng.uniform(0.0, 0.3))
            outcome.struck.append(waiting.pop(0)[1](stack, rng))
            stack.heal()
        time.sleep(0.05)
    outcome.seconds = time.monotonic() - begun
    for one, sampler in zip(ids, samplers, strict=True):
        late = [] if one in over else [f"not over after {most_seconds:.0f} s"]
        outcome.broken[one] = [*late, *_wrong(stack, one, sampler, known)]
    return outcome


def _wrong(
    stack: Stack, sweep_id: str, sampler: Mapping[str, Any], known: Mapping[tuple[Any, ...], float]
) -> list[str]:
    """Every way in which a sweep is not what it would be without faults."""
    with reading(stack.bench.engine) as session:
        rows = [trial for trial, _ in sweeps.trials(session, sweep_id)]
        best = sweeps.best(session, sweeps.get(session, sweep_id))
    found = []
    if [trial.number for trial in rows] != list(range(TRIALS)):
        found.append(f"{len(rows)} trials: {[trial.number for trial in rows]}")
    found += [
        f"trial {trial.number} {trial.status}: {trial.cause}"
        for trial in rows
        if trial.status != "finished"
    ]
    for trial in rows:
        expected = known[point_key(trial.point)]
        if trial.objectives != [expected]:
            found.append(
                f"trial {trial.number} at {trial.point}: {trial.objectives}, not {expected}"
            )
    if sampler == GRID:
        if {point_key(trial.point) for trial in rows} != set(known):
            found.append("some points of the grid were left out")
        if [trial.objectives for trial in best] != [[min(known.values())]]:
            found.append(f"the best is {best[0].objectives if best else None}")
    return found


def _kill_worker(stack: Stack, rng: random.Random) -> str:
    node, process = rng.choice(sorted(stack.workers_by_node.items()))
    process.kill()
    return f"worker {node} and all it started"


def _kill_runner(stack: Stack, rng: random.Random) -> str:
    node, process = rng.choice(sorted(stack.workers_by_node.items()))
    for one in _runners(process):
        one.kill()
    return f"the runner of worker {node}"


def _runners(process: Process) -> list[Any]:
    found = []
    for one in process.family():
        with suppress(Exception):
            if "worker.runner" in " ".join(one.cmdline()):
                found.append(one)
    return found


def _empty_broker(stack: Stack, rng: random.Random) -> str:
    stack.broker.stop()
    time.sleep(rng.uniform(0.0, 0.5))
    stack.broker.start()
    return "the broker, which forgot all"


def _kill_scheduler(stack: Stack, _: random.Random) -> str:
    assert stack.scheduler is not None
    stack.scheduler.kill()
    return "the scheduler"


def main() -> int:
    """So many sweeps, some side by side, half of them grids; how many of them went wrong."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--sweeps", type=int, default=100)
    asked.add_argument("--beside", type=int, default=10, help="sweeps at a time")
    asked.add_argument("--seed", type=int, default=0)
    given = asked.parse_args()
    done = wrong = 0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        known = reference(Path(folder))
        stack = Stack(Path(folder))
        try:
            while done < given.sweeps:
                count = min(given.beside, given.sweeps - done)
                samplers = [TPE if number % 2 else GRID for number in range(count)]
                found = chaos(stack, samplers, given.seed + done, known)
                done += count
                wrong += sum(bool(said) for said in found.broken.values())
                print(f"{count} sweeps, {found.seconds:.0f} s, struck: {'; '.join(found.struck)}")
                for sweep_id, said in found.broken.items():
                    if said:
                        print(f"  {sweep_id}: {'; '.join(said)}")
                print(f"{wrong} of {done} sweeps went wrong", flush=True)
        finally:
            stack.close()
    return wrong


if __name__ == "__main__":
    sys.exit(main())
