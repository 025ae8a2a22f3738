"""`make bench-core`: seconds of a training step, Chainrule and peers in turn, and their ratios.

Each framework sits in a process of its own; rounds alternate, so that a noisy machine is noisy for
all. Shown is the median over rounds of peer time / our time in the same round.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from typing import Any

from benchmarks.core.cases import CASES, NETWORKS, Case
from benchmarks.results import Row, at_least, at_most, figure, publish

PEERS = ("torch", "torch_compile", "jax", "keras", "sklearn")
OWN = {"tiny": ("stack",), "wide": ("products",)}
"""Also measured: a stack of networks, and the matrix products alone."""
ROUNDS = 7


@dataclass
class Side:
    """A framework at work on one case."""

    process: subprocess.Popen[str]
    first_step_seconds: float
    peak_bytes: float = 0.0

    def measure(self, steps: int) -> float:
        """Seconds a step."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        self.peak_bytes = answer["peak_bytes"]
        return float(answer["seconds"]) / steps


def start(framework: str, case: Case, threads: int) -> Side | None:
    """Start a framework and warm it up. Returns None if it cannot run this case."""
    limits = {name: str(threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    flags = f"--xla_cpu_multi_thread_eigen={str(threads > 1).lower()}"
    flags += f" intra_op_parallelism_threads={threads}"
    environment = {**os.environ, **limits, "MKL_NUM_THREADS": str(threads), "XLA_FLAGS": flags}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # installed packages have theirs compiled
    errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  (closed below, or with the process)
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.core.framework_process", framework, case.name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        env=environment,
        preexec_fn=lambda: os.sched_setaffinity(0, set(range(threads))),
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        process.wait()
        errors.seek(0)
        reason = errors.read().strip().rpartition("\n")[2] or f"exit code {process.returncode}"
        print(f"{case.name} {threads}t: {framework} is not measured: {reason}", flush=True)
        return None
    return Side(process, json.loads(line)["first_step_seconds"])


def compare(case: Case, peers: list[str], threads: int, rounds: int) -> list[Row]:
    """Measure all frameworks on one case, in turn."""
    sides: dict[str, Side] = {}
    for name in ("chainrule", *OWN.get(case.name, ()), *peers):
        side = start(name, case, threads)
        if side is not None:
            sides[name] = side
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            times[name].append(side.measure(case.steps))
    for side in sides.values():
        side.process.terminate()
        side.process.wait()
    return rows(case, threads, sides, times)


def rows(
    case: Case, threads: int, sides: dict[str, Side], times: dict[str, list[float]]
) -> list[Row]:
    """Return the rows of a case: our step time, the ratio of each peer, memory."""
    title = f"{case.name} {threads}t"
    ours = times["chainrule"]
    listed = [figure(f"{title}: chainrule", statistics.median(ours) * 1e6, "us/step")]
    listed.append(figure(f"{title}: peak memory", sides["chainrule"].peak_bytes / 1e6, "MB"))
    ratios: dict[str, float] = {}
    own = OWN.get(case.name, ())
    for name in times:
        if name == "chainrule":
            continue
        ratio = statistics.median(
            theirs / mine for theirs, mine in zip(times[name], ours, strict=True)
        )
        if name in own:
            listed.append(own_row(title, name, ratio))
            continue
        ratios[name] = ratio
        listed.append(figure(f"{title}: {name} / chainrule", ratio, "x"))
    if case.kind == "dense" and ratios:
        listed.append(
            at_least(f"{title}: fastest peer / chainrule", min(ratios.values()), "x", 1.0)
        )
    if "torch" in ratios:
        goal = 4.0 if case.name in {"tiny", "small"} else 1.0
        listed.append(at_least(f"{title}: torch eager / chainrule", ratios["torch"], "x", goal))
        mine, theirs = sides["chainrule"].peak_bytes, sides["torch"].peak_bytes
        listed.append(at_most(f"{title}: peak memory / torch's", mine / theirs, "x", 1.0))
    if case.name == "tiny":
        first = sides["chainrule"].first_step_seconds
        listed.append(at_most(f"{title}: import to first step", first, "s", 0.3))
    return listed


def own_row(title: str, name: str, ratio: float) -> Row:
    """Return the gain of a stack, or the share of the products, from its time ratio."""
    if name == "stack":
        label = f"{title}: throughput of {NETWORKS} stacked / one at a time"
        return at_least(label, NETWORKS / ratio, "x", 10.0)
    return at_least(f"{title}: matrix products' share of a step", ratio, "", 0.8)


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", action="append", choices=CASES, help="only these")
    parser.add_argument("--peer", action="append", choices=PEERS, help="only these peers")
    parser.add_argument("--threads", action="append", type=int, help="1 and all cores by default")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    asked: Any = parser.parse_args()
    measured: list[Row] = []
    for threads in asked.threads or sorted({1, len(os.sched_getaffinity(0))}):
        for name in asked.case or CASES:
            case_rows = compare(CASES[name], asked.peer or list(PEERS), threads, asked.rounds)
            for row in case_rows:
                print(f"{row.name:58} {row.value:12.4g} {row.unit}", flush=True)
            measured += case_rows
    publish("core", measured)


if __name__ == "__main__":
    main()
