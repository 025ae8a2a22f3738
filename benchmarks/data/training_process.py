"""Trains once in a process of its own and prints what it took.

Run as `python -m benchmarks.data.training_process`.
"""

import argparse
import json
import resource
import time
from pathlib import Path

from benchmarks.data.synthetic import PIXELS, store_at
from core.data.storage.cache import Cache
from core.data.storage.local_copy import held
from core.events import StepEnded
from core.spec import JobSpec
from core.training.loop import train

BATCH = 128
WARM, STEPS = 50, 500


def spec(units: int, steps: int = STEPS) -> JobSpec:
    """The job that is trained."""
    return JobSpec.model_validate(
        {
            "experiment": "bench",
            "dataset": "pictures@1",
            "data": {
                "target": "label",
                "features": ["picture"],
                "prepare": [{"kind": "rescale"}],
                "split": {"train": 0.98, "valid": 0.01, "test": 0.01},
            },
            "network": [
                {"kind": "dense", "units": units},
                {"kind": "relu"},
                {"kind": "dense", "units": 10},
            ],
            "loss": {"kind": "cross_entropy"},
            "batch_size": BATCH,
            "epochs": 100,
            "max_steps": steps,
            "report_steps": 1,
        }
    )


def peak_bytes() -> int:
    """The most memory that is this process's own: files that are mapped do not count."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


def main() -> None:
    """Train some hundred steps; rows a second after the first ones, and memory."""
    asked = argparse.ArgumentParser()
    asked.add_argument("folder", type=Path)
    asked.add_argument("digest")
    asked.add_argument("--memory-bytes", type=int, default=0)
    asked.add_argument("--units", type=int, default=256)
    asked.add_argument("--steps", type=int, default=STEPS)
    asked.add_argument("--limit-bytes", type=int, default=0, help="of memory that is no file's")
    given = asked.parse_args()
    if given.limit_bytes:
        resource.setrlimit(resource.RLIMIT_DATA, (given.limit_bytes, given.limit_bytes))
    begun = time.perf_counter()
    first = None
    marks: list[tuple[int, float]] = []
    peak = 0
    with held(Cache(given.folder / "cache"), store_at(given.folder), given.digest) as path:
        events = train(
            spec(given.units, given.steps), path, given.folder, data_memory_bytes=given.memory_bytes
        )
        for event in events:
            if isinstance(event, StepEnded):
                first = first or time.perf_counter() - begun
                marks.append((event.step, time.perf_counter()))
                if event.step % 50 == 0:
                    peak = max(peak, peak_bytes())
    (begin, begin_at), (end, end_at) = marks[min(WARM, len(marks) // 2)], marks[-1]
    figures = {
        "rows_a_second": (end - begin) * BATCH / (end_at - begin_at),
        "first_seconds": first,
        "peak_bytes": max(peak, peak_bytes()),
        "pixels": PIXELS,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
