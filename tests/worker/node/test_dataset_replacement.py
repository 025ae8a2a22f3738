"""A dataset is replaced and erased under running jobs: none fails, and its space comes back."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chainrule.contract.status import JobStatus
from core import datasets, jobs, models
from core.data.ingest.parser import parse
from core.data.storage.purge import purge
from core.db.session import reading
from tests.support.job_cases import do, spec
from tests.support.worker_cases import DIGITS_CSV, Bench, until
from worker.node.context import Equipment
from worker.slot import Slot

SLOTS = 3
EACH = 17
"""So many jobs train side by side in each slot: more than fifty run at once."""


@contextmanager
def held_still(bench: Bench, stacks: list[list[str]]) -> Iterator[list[threading.Thread]]:
    """The jobs at work, a stack in a slot; no runner computes before the context ends."""
    equipments = [Equipment(bench.settings, bench.drain, f"bench-{at}") for at in range(SLOTS)]
    runners = [equipment.runner() for equipment in equipments]
    threads = [
        threading.Thread(target=Slot(equipment).work, args=(ids[0],))
        for equipment, ids in zip(equipments, stacks, strict=True)
    ]
    try:
        for runner in runners:
            # Before there is work for it: however fast, it cannot be through too soon.
            os.kill(runner.pid, signal.SIGSTOP)
        for thread in threads:
            thread.start()
        until(lambda: all(runner.busy for runner in runners))
        rows = [bench.job(job_id) for ids in stacks for job_id in ids]
        assert {row.status for row in rows} == {JobStatus.RUNNING}
        yield threads
    finally:
        for runner in runners:
            os.kill(runner.pid, signal.SIGCONT)
        for thread in threads:
            thread.join(120)
        for equipment in equipments:
            equipment.close()


def current(bench: Bench, name: str) -> list[list[str]]:
    """As many jobs as may run at once, on what the alias means now; those of a stack together."""
    with reading(bench.engine) as session:
        row = datasets.resolve(session, "digits@current")
    job = spec(dataset="digits@current", epochs=2)
    return [
        [
            do(bench.engine, jobs.submit, job, row, owner="local", stack_key=f"{name}{at}").id
            for _ in range(EACH)
        ]
        for at in range(SLOTS)
    ]


def replaced(bench: Bench, folder: Path) -> None:
    """Make other rows the next version, let the alias mean it, and ask for the old one's end."""
    (folder / "newer.csv").write_text("\n".join(DIGITS_CSV.read_text().splitlines()[:500]))
    newer = parse(folder / "newer.csv", "text/csv", folder / "newer.arrow")
    with datasets.keeping(bench.engine):
        datasets.keep(bench.store, newer)
        do(bench.engine, datasets.register, "digits", newer)
    do(bench.engine, datasets.set_alias, "digits", "current", 2)
    do(bench.engine, datasets.request_erasure, "digits", 1, actor="ann")


def erased(bench: Bench) -> int:
    """How many versions the scheduler would erase now, and erases."""
    with reading(bench.engine) as session:
        waiting = datasets.erasable(session)
    return sum(datasets.erase(bench.engine, bench.store, one) for one in waiting)


def test_no_running_job_fails_and_the_space_comes_back(bench: Bench, tmp_path: Path) -> None:
    do(bench.engine, datasets.set_alias, "digits", "current", 1)
    stacks = current(bench, "early")
    early = [job_id for ids in stacks for job_id in ids]
    cache = bench.equipment.cache
    with held_still(bench, stacks) as threads:
        replaced(bench, tmp_path)
        with reading(bench.engine) as session:
            old = datasets.get_version(session, "digits", 1).digest
            assert sorted(datasets.uses(session, "digits", 1).holding) == sorted(early)
        assert erased(bench) == 0
        assert purge(cache, [old]) == 0
        late = [job_id for ids in current(bench, "late") for job_id in ids]
        for thread in threads:
            assert thread.is_alive()
    # The slots took what came later as well.
    rows = [bench.job(job_id) for job_id in (*early, *late)]
    assert [(row.status, row.attempt) for row in rows] == [
        (JobStatus.FINISHED, 1)
    ] * 2 * SLOTS * EACH
    for number, job_id in enumerate(early):
        do(bench.engine, models.register, f"m{number}", job_id, owner="local")
    assert erased(bench) == 1
    with reading(bench.engine) as session:
        left = datasets.get_version(session, "digits", 2)
        found = datasets.uses(session, "digits", 1)
        gone = datasets.erased_digests(session)
    assert gone == {old}
    assert sorted(job for _, job in found.models) == sorted(early)
    assert purge(cache, gone) == 1
    assert cache.versions() == {left.digest}
    assert cache.bytes() <= left.bytes
    kept = sum(bench.store.size(f"{key}") for key in bench.store.keys("chunks"))
    assert 0 < kept <= left.bytes
