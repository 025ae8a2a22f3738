"""Overhead of a trial that trains for about a second.

Networks of different widths, so that each trains alone: in a sweep on two workers, and the same
without any of it, in two bare processes of one thread each.
"""

import os
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from benchmarks.results import Row, at_most, figure
from benchmarks.sweeps import service
from benchmarks.sweeps.cases import CASES
from chainrule.client import Client
from core.data.ingest.parser import parse
from core.spec import JobSpec
from core.training.loop import train

WIDTHS = range(24, 64)
PROCESSES = 2
AHEAD = 4
"""Trials that wait or train at a time, so that a free slot always has a next trial."""


def rows(client: Client, folder: Path) -> list[Row]:
    """Measure both. The digits must be uploaded."""
    case = CASES["digits"]
    table = parse(folder / "digits.csv", "text/csv", folder / "digits.arrow").path
    asked = service.spec(case, len(WIDTHS), seed=6)
    job = asked["job"]
    with ProcessPoolExecutor(PROCESSES, get_context("spawn")) as bare:
        run = partial(_trained, table=str(table))
        for _ in ("to warm up", "to measure"):
            seconds = max(bare.map(run, [_wide(job, WIDTHS[len(WIDTHS) // 2])] * PROCESSES))
        job = {**job, "epochs": max(1, round(job["epochs"] / seconds))}
        specs = [_wide(job, units) for units in WIDTHS]
        begun = time.perf_counter()
        each = list(bare.map(run, specs))
        alone = time.perf_counter() - begun
    taken = service.seconds(
        client,
        case,
        len(WIDTHS),
        seed=6,
        job=job,
        search_space={
            "network[0].units": {"kind": "int", "low": WIDTHS[0], "high": WIDTHS[-1]},
        },
        sampler={"kind": "grid"},
        max_parallel=AHEAD,
    )
    return [
        figure("digits: a trial trained by itself", sum(each) / len(each), "s"),
        at_most("digits: a sweep of such trials, longer by", 100 * (taken / alone - 1), "%", 3.0),
    ]


def _wide(job: dict[str, Any], units: int) -> dict[str, Any]:
    return {**job, "network": [{**job["network"][0], "units": units}, *job["network"][1:]]}


def _trained(job: dict[str, Any], *, table: str) -> float:
    """Train a spec in this process, and return the seconds."""
    folder = Path(table).parent / str(os.getpid())
    folder.mkdir(exist_ok=True)
    with threadpool_limits(1):
        begun = time.perf_counter()
        for _ in train(JobSpec.model_validate(job), Path(table), folder):
            pass
        return time.perf_counter() - begun
