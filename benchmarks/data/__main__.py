"""`make bench-data`: sets larger than memory, training while they arrive, caches, loaders."""

import argparse
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.data import loaders as loading
from benchmarks.data import peer_cache
from benchmarks.data.synthetic import PIXELS, Counting, fetched, make, store_at
from benchmarks.data.training_process import spec
from benchmarks.results import Row, at_least, at_most, figure, publish
from core.data.storage import local_copy
from core.data.storage.cache import Cache
from core.data.storage.progressive import arriving
from core.data.table.reader import TableReader
from core.events import StepEnded
from core.spec import JobSpec
from core.training.dataset import resident_columns
from core.training.loop import train

PARTS = ("arrival", "starts", "memory", "large", "loaders")
RUNNERS = 8
MACHINES = 4
LIMIT_BYTES = 10**9
LARGE_STEPS = 4000


def main() -> None:
    """Measure and publish."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--rows", type=int, default=200_000)
    asked.add_argument("--far-rows", type=int, default=1_250_000, help="of the set that arrives")
    asked.add_argument("--large-rows", type=int, default=3_200_000, help="of the set in 1 GB")
    asked.add_argument("--rounds", type=int, default=3)
    asked.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    asked.add_argument("--folder", type=Path, help="where there is room; default: temporary")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as place:
        folder = Path(place)
        digest = make(folder, given.rows)
        features = given.rows * PIXELS * 4
        rows = [figure("features of the set", features / 1e6, "MB")]
        if "arrival" in given.parts:
            rows += arrival(folder / "far", given.far_rows)
        if "starts" in given.parts:
            rows += starts(folder, digest)
        if "memory" in given.parts:
            rows += memory(folder, digest, features // 8, given.rounds)
        if "large" in given.parts:
            rows += large(folder, digest, given.large_rows)
        if "loaders" in given.parts:
            rows += loaders(folder, digest, features // 16, given.rounds)
    publish("data", rows)


def memory(folder: Path, digest: str, memory_bytes: int, rounds: int) -> Iterator[Row]:
    """Training from the disk against training in memory, in turn."""
    inside, outside = [], []
    for _ in range(rounds):
        inside.append(_trained(folder, digest))
        outside.append(_trained(folder, digest, f"--memory-bytes={memory_bytes}"))
    ratios = [b["rows_a_second"] / a["rows_a_second"] for a, b in zip(inside, outside, strict=True)]
    yield figure("in memory", _median(inside, "rows_a_second"), "rows/s")
    yield figure("in memory: peak", _median(inside, "peak_bytes") / 1e6, "MB")
    yield figure("from the disk: memory for rows", memory_bytes / 1e6, "MB")
    yield figure("from the disk", _median(outside, "rows_a_second"), "rows/s")
    yield figure("from the disk: peak", _median(outside, "peak_bytes") / 1e6, "MB")
    yield at_least("from the disk / in memory", float(np.median(ratios)), "", 0.9)


def large(folder: Path, small: str, rows: int) -> Iterator[Row]:
    """A set far larger than the memory that its process may have, against a small one in memory."""
    place = folder / "large"
    digest = make(place, rows)
    steps = f"--steps={LARGE_STEPS}"
    limit = f"--limit-bytes={LIMIT_BYTES}"
    budget = f"--memory-bytes={LIMIT_BYTES // 2}"
    inside = _trained(folder, small, steps)
    outside = _trained(place, digest, steps, limit, budget)
    shutil.rmtree(place)
    yield figure("large: features of the set", rows * PIXELS * 4 / 1e6, "MB")
    yield figure("large: limit of the process", LIMIT_BYTES / 1e6, "MB")
    yield figure("large: peak", outside["peak_bytes"] / 1e6, "MB")
    yield figure("large: from the disk", outside["rows_a_second"], "rows/s")
    ratio = outside["rows_a_second"] / inside["rows_a_second"]
    yield at_least("large: from the disk / small in memory", ratio, "", 0.9)


def _trained(folder: Path, digest: str, *more: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.data.training_process", str(folder), digest, *more]
    # A thread for arithmetic, as in a worker that has a slot for each core.
    alone = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    output = subprocess.run(command, check=True, capture_output=True, text=True, env=alone).stdout
    figures: dict[str, float] = json.loads(output.splitlines()[-1])
    return figures


def _median(runs: list[dict[str, float]], name: str) -> float:
    return float(np.median([run[name] for run in runs]))


def arrival(folder: Path, rows: int) -> Iterator[Row]:
    """The first batch of a set that comes over a slow line."""
    digest, memory_bytes = make(folder, rows), rows * PIXELS * 4 // 8
    store = Counting(store_at(folder), 20e6)
    job = spec(64).model_copy(update={"data": _unlearned(spec(64))})
    begun = time.perf_counter()
    copy, coming = arriving(Cache(folder / "slow"), store, digest, resident_columns(job), folder)
    assert coming is not None
    assert copy.manifest is not None
    coming.start()
    events = train(job, copy.path, folder, data_memory_bytes=memory_bytes, arrival=coming.arrival)
    for event in events:
        if isinstance(event, StepEnded):
            break
    share, seconds = store.given / copy.manifest.size, time.perf_counter() - begun
    events.close()
    coming.close()
    copy.close()
    shutil.rmtree(folder)
    yield figure("arriving: bytes of the set", copy.manifest.size / 1e6, "MB")
    yield figure("arriving: first batch at 20 MB/s", seconds, "s")
    yield at_most("arriving: share of the bytes before the first batch", share, "", 0.05)


def _unlearned(job: JobSpec) -> Any:
    return job.data.model_copy(update={"standardize": False})


def starts(folder: Path, digest: str) -> Iterator[Row]:
    """Eight runners of a machine, and a start when all is here."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(RUNNERS) as pool:
        given = pool.starmap(fetched, [(folder, digest)] * RUNNERS)
    size = local_copy.manifest(store_at(folder), digest)
    assert size is not None
    yield at_most(f"{RUNNERS} runners: bytes moved / bytes", sum(given) / size.size, "", 1.05)
    with peer_cache.placed(MACHINES) as places:
        alone = peer_cache.pulled(folder, digest, places, shared=False) / size.size
        together = peer_cache.pulled(folder, digest, places, shared=True) / size.size
    name = f"{MACHINES} machines: bytes from the store / bytes"
    yield figure(name, alone, "")
    yield at_most(f"{name}, caches shared", together, "", 1.05)
    store = Counting(store_at(folder))
    cache = Cache(folder / "cache")
    first, again = _opened(cache, store, digest), _opened(cache, store, digest)
    rate = size.size / first / 1e6
    yield figure("first start of a process when all is here: bytes verified", rate, "MB/s")
    yield figure("first start of a process when all is here", 1000 * first, "ms")
    yield at_most("start when all is here", 1000 * again, "ms", 100)
    yield at_most("start when all is here: bytes moved", float(store.given), "bytes", 0)


def _opened(cache: Cache, store: Counting, digest: str) -> float:
    """Seconds until a set can be read that is in the cache."""
    begun = time.perf_counter()
    with local_copy.held(cache, store, digest) as path:
        assert len(TableReader(path))
    return time.perf_counter() - begun


def loaders(folder: Path, digest: str, buffer_bytes: int, rounds: int) -> Iterator[Row]:
    """The loaders alone, in turn."""
    with local_copy.held(Cache(folder / "cache"), store_at(folder), digest) as path:
        plain = folder / "pictures.npy"
        column = TableReader(path).columns(["picture"]).column("picture").combine_chunks()
        np.save(plain, column.flatten().to_numpy().reshape(-1, PIXELS))
        mine = [loading.ours(path, buffer_bytes) for _ in range(rounds)]
        yield figure("our loader", float(np.median(mine)), "rows/s")
        if not loading.torch_there():
            return
        for workers in (0, 2):
            theirs = [loading.torch_s(plain, workers) for _ in range(rounds)]
            name = f"PyTorch DataLoader, {workers} workers"
            yield figure(name, float(np.median(theirs)), "rows/s")
            ratio = float(np.median(mine) / np.median(theirs))
            yield at_least(f"our loader / {name}", ratio, "", 1.0)


if __name__ == "__main__":
    main()
