"""Faults of a worker with a full disk, and of a missing store while caches are cold."""

import time

from sqlalchemy import func, select

from chainrule.contract.status import AttemptStatus
from core.db.session import reading
from core.db.tables import Attempt
from tests.faults.context import FaultContext, Missed
from tests.faults.kinds.mlflow_api_disks import full_stack, wait_for_hit
from tests.faults.matrix import fault

OUTAGE_SECONDS = 45.0
FULL_DISK_NODE = "full-disk"
QUEUED_JOBS = 4
ENDED_EARLY = (AttemptStatus.LOST, AttemptStatus.RELEASED)


def _ended_early(context: FaultContext, node: str | None = None) -> int:
    """The number of attempts that were lost or released, on one node or on all."""
    condition = [] if node is None else [Attempt.node == node]
    statement = select(func.count()).where(Attempt.status.in_(ENDED_EARLY), *condition)
    with reading(context.stack.bench.engine) as session:
        return session.execute(statement).scalar_one()


@fault(needs="disks")
def node_with_a_full_disk(context: FaultContext) -> None:
    """A third worker, next to two healthy ones, has no space for data."""
    stack = full_stack(context)
    disk = stack.disks["extra"]
    before = _ended_early(context, FULL_DISK_NODE)
    store = stack.bench.settings.resolved_store_url
    stack.start_extra_worker(
        FULL_DISK_NODE, CHAINRULE_DATA_DIR=str(disk), CHAINRULE_STORE_URL=store
    )
    stack.fill("extra")
    for _ in range(QUEUED_JOBS):
        context.submit()
    wait_for_hit(
        lambda: _ended_early(context, FULL_DISK_NODE) - before,
        "attempts ended on a full disk",
        context,
    )
    time.sleep(context.rng.uniform(0.5, 2.0))


def _submit_with_cold_caches(context: FaultContext) -> None:
    """Erase the caches and queue more jobs. Raises Missed if no file was cached."""
    if not context.stack.clear_caches():
        raise Missed("no file was cached")
    for _ in range(QUEUED_JOBS):
        context.submit()


@fault(needs="folder")
def store_moved_away_with_cold_caches(context: FaultContext) -> None:
    stack, before = context.stack, _ended_early(context)
    stack.store.rename(stack.moved_store)
    stopped_at = time.monotonic()
    _submit_with_cold_caches(context)
    wait_for_hit(lambda: _ended_early(context) - before, "attempts ended without a store", context)
    time.sleep(max(0.0, stopped_at + OUTAGE_SECONDS - time.monotonic()))


@fault(needs="bucket")
def bucket_refused_with_cold_caches(context: FaultContext) -> None:
    link = context.stack.links["bucket"]
    before = link.disrupted
    link.mode = "refuse"
    link.reset()
    stopped_at = time.monotonic()
    _submit_with_cold_caches(context)
    wait_for_hit(lambda: link.disrupted - before, "connections to the bucket failed", context)
    time.sleep(max(0.0, stopped_at + OUTAGE_SECONDS - time.monotonic()))


@fault(needs="bucket")
def bucket_frozen_with_cold_caches(context: FaultContext) -> None:
    link = context.stack.links["bucket"]
    before = link.disrupted
    link.mode = "blackhole"
    stopped_at = time.monotonic()
    _submit_with_cold_caches(context)
    wait_for_hit(lambda: link.disrupted - before, "pieces to the bucket were swallowed", context)
    time.sleep(max(0.0, stopped_at + OUTAGE_SECONDS - time.monotonic()))
