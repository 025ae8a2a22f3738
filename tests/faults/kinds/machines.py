"""Faults of whole machines: their network, their clock."""

import time

from core import jobs
from core.db.session import reading
from tests.faults.cluster.machines import Machine
from tests.faults.matrix import PAST_LEASE, WITHIN_LEASE, fault
from tests.faults.scene import Missed, Scene

SHARE = 0.3
HOURS = 2 * 3600


def _machine(scene: Scene) -> Machine:
    return scene.stack.machines[scene.node]


@fault(needs="machines")
def machine_unplugged_for_a_moment(scene: Scene) -> None:
    _machine(scene).unplug()
    scene.struck(f"machine {scene.node} is unplugged")
    time.sleep(WITHIN_LEASE)


@fault(needs="machines", costs=True)
def machine_unplugged(scene: Scene) -> None:
    _machine(scene).unplug()
    scene.struck(f"machine {scene.node} is unplugged")
    # So long that another has taken over.
    time.sleep(2 * PAST_LEASE)


@fault(needs="machines", costs=True)
def machine_gone(scene: Scene) -> None:
    _machine(scene).unplug()
    scene.kill_all(scene.trainer, f"all of machine {scene.node}")


@fault(needs="machines")
def machine_loses_packets(scene: Scene) -> None:
    machine = _machine(scene)
    machine.lose_packets(SHARE)
    scene.struck(f"machine {scene.node} loses packets")
    time.sleep(PAST_LEASE)
    scene.counted(machine.lost_packets(), "packets were lost")


def _set_clock(scene: Scene, seconds: int) -> None:
    """Put the clock of the machine that trains so far ahead, and look at what is told then."""
    clock = scene.stack.clocks[scene.node]
    clock.put(seconds)
    read_before = clock.readings
    scene.struck(f"the clock of machine {scene.node} is put by {seconds} s")
    time.sleep(PAST_LEASE)
    if not clock.readings - read_before:
        raise Missed("nobody read that clock")
    with reading(scene.stack.bench.engine) as session:
        told = [point.at_ms / 1000 for point in jobs.metrics(session, scene.job_id).points()]
    if told and not -60 < max(told) - time.time() < 60:
        scene.wrong.append("a point has the moment of a wrong clock")


@fault(needs="clocks")
def clock_two_hours_ahead(scene: Scene) -> None:
    _set_clock(scene, HOURS)


@fault(needs="clocks")
def clock_two_hours_behind(scene: Scene) -> None:
    _set_clock(scene, -HOURS)
