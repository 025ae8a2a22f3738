"""Sweeps of fifty trials while workers are killed and the broker loses its messages.

`python -m tests.faults.sweeps` runs a hundred sweeps, ten at a time on one stack.
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
FAULTS_AT = (3, 12, 22, 32, 42)
"""A fault is injected whenever this many trials of each sweep have finished."""

SPACE: dict[str, dict[str, Any]] = {
    "optimizer.learning_rate": {"kind": "categorical", "choices": [1e-4, 3e-4, 1e-3, 3e-3, 1e-2]},
    "seed": {"kind": "int", "low": 0, "high": 9, "step": 1},
}
GRID: dict[str, Any] = {"kind": "grid", "seed": 5}
TPE: dict[str, Any] = {"kind": "tpe", "seed": 5}


def spec(sampler: Mapping[str, Any]) -> SweepSpec:
    """A search over fifty small networks with the default number of attempts."""
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
    """A point of the space as a key of `reference`."""
    return tuple(point[path] for path in SPACE)


def reference(folder: Path) -> dict[tuple[Any, ...], float]:
    """The objective at every point of the grid, trained one after another in this process."""
    sweep, objectives = spec(GRID), {}
    table = parse_digits(folder).path
    with threadpool_limits(1):
        for rate in SPACE["optimizer.learning_rate"]["choices"]:
            for seed in range(10):
                point = {"optimizer.learning_rate": rate, "seed": seed}
                last = None
                for event in train(sweep.at(point), table, folder):
                    last = event if isinstance(event, EpochEnded) else last
                assert last is not None
                objectives[point_key(point)] = float(last.metrics[METRIC])
    return objectives


@dataclass
class Round:
    """Sweeps under the same faults: what was hit, and the problems of each sweep by its id."""

    hits: list[str] = field(default_factory=list)
    problems: dict[str, list[str]] = field(default_factory=dict)
    seconds: float = 0.0


def chaos(
    stack: Stack,
    samplers: Sequence[Mapping[str, Any]],
    seed: int,
    known: Mapping[tuple[Any, ...], float],
    *,
    most_seconds: float = 600.0,
) -> Round:
    """Run sweeps at the same time under faults, and compare each with the reference."""
    outcome, rng = Round(), random.Random(seed)
    started_at = time.monotonic()
    with transaction(stack.bench.engine) as session:
        version = session.merge(stack.bench.version)
        ids = [
            sweeps.start(session, spec(it), version, owner="local", max_weights_bytes=2**30).id
            for it in samplers
        ]
    faults = [_kill_runner, _kill_worker, _empty_broker, _kill_scheduler, _kill_worker]
    waiting = list(zip(FAULTS_AT, rng.sample(faults, len(faults)), strict=True))
    ended: set[str] = set()
    while len(ended) < len(ids) and time.monotonic() - started_at < most_seconds:
        finished = 0
        with reading(stack.bench.engine) as session:
            for sweep_id in ids:
                finished += sweeps.counts(session, sweep_id).get("finished", 0)
                if sweeps.get(session, sweep_id).status.terminal:
                    ended.add(sweep_id)
        if waiting and finished >= waiting[0][0] * len(ids):
            time.sleep(rng.uniform(0.0, 0.3))
            outcome.hits.append(waiting.pop(0)[1](stack, rng))
            stack.repair()
        time.sleep(0.05)
    outcome.seconds = time.monotonic() - started_at
    for sweep_id, sampler in zip(ids, samplers, strict=True):
        late = [] if sweep_id in ended else [f"did not end within {most_seconds:.0f} s"]
        outcome.problems[sweep_id] = [*late, *_problems(stack, sweep_id, sampler, known)]
    return outcome


def _problems(
    stack: Stack, sweep_id: str, sampler: Mapping[str, Any], known: Mapping[tuple[Any, ...], float]
) -> list[str]:
    """How a sweep differs from one without faults."""
    with reading(stack.bench.engine) as session:
        rows = [trial for trial, _ in sweeps.trials(session, sweep_id)]
        best = sweeps.best(session, sweeps.get(session, sweep_id))
    problems = []
    if [trial.number for trial in rows] != list(range(TRIALS)):
        problems.append(f"{len(rows)} trials: {[trial.number for trial in rows]}")
    problems += [
        f"trial {trial.number} {trial.status}: {trial.cause}"
        for trial in rows
        if trial.status != "finished"
    ]
    for trial in rows:
        expected = known[point_key(trial.point)]
        if trial.objectives != [expected]:
            problems.append(
                f"trial {trial.number} at {trial.point}: {trial.objectives}, not {expected}"
            )
    if sampler == GRID:
        if {point_key(trial.point) for trial in rows} != set(known):
            problems.append("some points of the grid are missing")
        if [trial.objectives for trial in best] != [[min(known.values())]]:
            problems.append(f"the best is {best[0].objectives if best else None}")
    return problems


def _kill_worker(stack: Stack, rng: random.Random) -> str:
    node, process = rng.choice(sorted(stack.workers_by_node.items()))
    process.kill()
    return f"worker {node} and all that it started"


def _kill_runner(stack: Stack, rng: random.Random) -> str:
    node, process = rng.choice(sorted(stack.workers_by_node.items()))
    for runner in _runners(process):
        runner.kill()
    return f"the runner of worker {node}"


def _runners(process: Process) -> list[Any]:
    runners = []
    for child in process.family():
        with suppress(Exception):
            if "worker.runner" in " ".join(child.cmdline()):
                runners.append(child)
    return runners


def _empty_broker(stack: Stack, rng: random.Random) -> str:
    stack.broker.stop()
    time.sleep(rng.uniform(0.0, 0.5))
    stack.broker.start()
    return "the broker, which lost all messages"


def _kill_scheduler(stack: Stack, _: random.Random) -> str:
    assert stack.scheduler is not None
    stack.scheduler.kill()
    return "the scheduler"


def main() -> int:
    """Run sweeps, half of them grids; the number of sweeps with problems."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.sweeps", description=__doc__)
    parser.add_argument("--sweeps", type=int, default=100, help="number of sweeps")
    parser.add_argument("--parallel", type=int, default=10, help="sweeps at a time")
    parser.add_argument("--seed", type=int, default=0, help="decides targets and moments")
    options = parser.parse_args()
    done = wrong = 0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        known = reference(Path(folder))
        stack = Stack(Path(folder))
        try:
            while done < options.sweeps:
                count = min(options.parallel, options.sweeps - done)
                samplers = [TPE if number % 2 else GRID for number in range(count)]
                outcome = chaos(stack, samplers, options.seed + done, known)
                done += count
                wrong += sum(bool(problems) for problems in outcome.problems.values())
                print(f"{count} sweeps, {outcome.seconds:.0f} s, hit: {'; '.join(outcome.hits)}")
                for sweep_id, problems in outcome.problems.items():
                    if problems:
                        print(f"  {sweep_id}: {'; '.join(problems)}")
                print(f"{wrong} of {done} sweeps have problems", flush=True)
        finally:
            stack.close()
    return wrong


if __name__ == "__main__":
    sys.exit(main())
