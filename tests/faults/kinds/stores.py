"""Faults of a machine whose disk is full, and of a store that is away while caches are cold."""

import time

from sqlalchemy import func, select

from core.db.session import reading
from core.db.tables import Attempt
from core.status import AttemptStatus
from tests.faults.kinds.surroundings import met, whole
from tests.faults.matrix import fault
from tests.faults.scene import Missed, Scene

AWAY_SECONDS = 45.0
SICK = "sick"
QUEUED = 4
ENDED_EARLY = (AttemptStatus.LOST, AttemptStatus.RELEASED)


def _ended_early(scene: Scene, node: str | None = None) -> int:
    """How many attempts were lost or given back, on one node or on any."""
    condition = [] if node is None else [Attempt.node == node]
    statement = select(func.count()).where(Attempt.status.in_(ENDED_EARLY), *condition)
    with reading(scene.stack.bench.engine) as session:
        return session.execute(statement).scalar_one()


@fault(needs="disks")
def node_with_a_full_disk(scene: Scene) -> None:
    """A third worker beside two healthy ones has no room for data."""
    stack = whole(scene)
    disk = stack.disks["guest"]
    before = _ended_early(scene, SICK)
    store = stack.bench.settings.resolved_store_url
    stack.invite(SICK, CHAINRULE_DATA_DIR=str(disk), CHAINRULE_STORE_URL=store)
    stack.fill("guest")
    for _ in range(QUEUED):
        scene.more()
    met(lambda: _ended_early(scene, SICK) - before, "attempts ended on a full disk", scene)
    time.sleep(scene.rng.uniform(0.5, 2.0))


def _cold(scene: Scene) -> None:
    """Queue more jobs, and leave none of their data in caches."""
    if not scene.stack.chill():
        raise Missed("no file was cached")
    for _ in range(QUEUED):
        scene.more()


@fault(needs="folder")
def store_moved_away_with_cold_caches(scene: Scene) -> None:
    stack, before = scene.stack, _ended_early(scene)
    stack.store.rename(stack.store_away)
    gone_at = time.monotonic()
    _cold(scene)
    met(lambda: _ended_early(scene) - before, "attempts ended without a store", scene)
    time.sleep(max(0.0, gone_at + AWAY_SECONDS - time.monotonic()))


@fault(needs="bucket")
def bucket_away_with_cold_caches(scene: Scene) -> None:
    link = scene.stack.links["bucket"]
    before = link.harmed
    link.mode = "refuse"
    link.reset()
    gone_at = time.monotonic()
    _cold(scene)
    met(lambda: link.harmed - before, "connections to the bucket failed", scene)
    time.sleep(max(0.0, gone_at + AWAY_SECONDS - time.monotonic()))


@fault(needs="bucket")
def bucket_frozen_with_cold_caches(scene: Scene) -> None:
    link = scene.stack.links["bucket"]
    before = link.harmed
    link.mode = "blackhole"
    gone_at = time.monotonic()
    _cold(scene)
    met(lambda: link.harmed - before, "pieces to the bucket were swallowed", scene)
    time.sleep(max(0.0, gone_at + AWAY_SECONDS - time.monotonic()))
