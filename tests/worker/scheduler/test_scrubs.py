"""Workers scrub their caches and repair the store; the scheduler scrubs the store."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from core.data.storage import damage
from core.data.storage.cache import Cache
from core.data.storage.local_copy import chunk_key, held, manifest
from tests.support.worker_cases import Bench, until
from worker.node.metrics import WorkerCounts
from worker.scheduler.metrics import SchedulerMetrics
from worker.scheduler.scrubs import CacheScrub, StoreScrub

FAST = 2**40


@pytest.fixture
def counts() -> WorkerCounts:
    return WorkerCounts(1)


@pytest.fixture
def digest(bench: Bench) -> str:
    """The digest of the first chunk of a version that is in the store and in the cache."""
    with held(bench.equipment.cache, bench.store, bench.version.digest):
        pass
    kept = manifest(bench.store, bench.version.digest)
    assert kept is not None
    return kept.chunks[0].digest


def scrub_of(bench: Bench, counts: WorkerCounts, rate: int = FAST) -> CacheScrub:
    cache = Cache(bench.settings.data_dir / "cache")
    return CacheScrub(bench.engine, bench.store, cache, counts.of_slot(0), rate)


def flip(path: Path) -> None:
    """Change a bit as a disk does: size and timestamps stay."""
    before, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def scrub_until(scrub: CacheScrub | StoreScrub, condition: Callable[[], bool]) -> None:
    """Scrub on until the condition holds."""

    def advance() -> bool:
        scrub.scrub()
        return condition()

    until(advance)


def test_a_flipped_bit_of_the_cache_fails_no_job(
    bench: Bench, counts: WorkerCounts, digest: str
) -> None:
    path = bench.equipment.cache.fetched(digest)
    flip(path)
    scrub = scrub_of(bench, counts)
    with ExitStack() as stack:
        stack.callback(scrub.end)
        scrub_until(scrub, lambda: not path.exists())
    assert counts.total("cache_damaged") == 1
    assert counts.total("cache_bytes_scrubbed") > 0
    job_id = bench.submit(epochs=1)
    bench.slot.work(job_id)
    assert bench.job(job_id).status.value == "finished"
    assert path.exists()


def test_one_of_the_processes_with_a_cache_scrubs_it(
    bench: Bench, counts: WorkerCounts, digest: str
) -> None:
    first, second = scrub_of(bench, counts), scrub_of(bench, counts)
    key = chunk_key(digest)
    bench.store.put_bytes(b"other", key)
    damage.note(bench.store, key)
    first.scrub()
    second.repair()
    assert damage.noted(bench.store, key)
    first.end()
    second.repair()
    assert not damage.noted(bench.store, key)
    assert counts.total("store_repaired") == 1
    second.end()


def test_the_threads_of_a_worker_repair_the_store(
    bench: Bench, counts: WorkerCounts, digest: str
) -> None:
    key = chunk_key(digest)
    good = bench.store.get_bytes(key)
    bench.store.put_bytes(b"other", key)
    damage.note(bench.store, key)
    scrub = scrub_of(bench, counts, rate=0)
    scrub.start()
    try:
        until(lambda: not damage.noted(bench.store, key))
    finally:
        scrub.end()
    assert bench.store.get_bytes(key) == good


def test_the_scheduler_finds_names_and_counts_damage(bench: Bench, digest: str) -> None:
    key = chunk_key(digest)
    good = bench.store.get_bytes(key)
    bench.store.put_bytes(bytes([good[0] ^ 1]) + good[1:], key)
    metrics = SchedulerMetrics(bench.engine)
    scrub = StoreScrub(bench.engine, bench.store, metrics, FAST)
    scrub_until(scrub, lambda: damage.noted(bench.store, key))
    with capture_logs() as logs:
        scrub.report()
        scrub.report()
    assert [(line["key"], line["versions"]) for line in logs] == [(key, ["digits@1"])]
    assert metrics.damaged._value.get() == 1
    assert metrics.scrubbed._value.get() > 0
    bench.store.put_bytes(good, key)
    damage.clear(bench.store, key)
    with capture_logs() as logs:
        scrub.report()
    assert [line["log_level"] for line in logs] == ["info"]
    assert metrics.damaged._value.get() == 0


def test_nothing_is_scrubbed_when_it_is_off(bench: Bench) -> None:
    names = [
        loop.name
        for loop in StoreScrub(bench.engine, bench.store, SchedulerMetrics(bench.engine), 0).loops()
    ]
    assert names == ["report damage"]
