"""Faults of whole machines: their network and their clock."""

import time

from core import jobs
from core.db.session import reading
from tests.faults.cluster.machines import Machine
from tests.faults.context import FaultContext, Missed
from tests.faults.matrix import PAST_LEASE, WITHIN_LEASE, fault

PACKET_LOSS = 0.3
TWO_HOURS = 2 * 3600
TOLERANCE_SECONDS = 60


def _machine(context: FaultContext) -> Machine:
    return context.stack.machines[context.node]


@fault(needs="machines")
def machine_unplugged_for_a_moment(context: FaultContext) -> None:
    _machine(context).unplug()
    context.hit(f"machine {context.node} is unplugged")
    time.sleep(WITHIN_LEASE)


@fault(needs="machines", ends_attempt=True)
def machine_unplugged(context: FaultContext) -> None:
    _machine(context).unplug()
    context.hit(f"machine {context.node} is unplugged")
    # Long enough for another worker to take the job over.
    time.sleep(2 * PAST_LEASE)


@fault(needs="machines", ends_attempt=True)
def machine_gone(context: FaultContext) -> None:
    _machine(context).unplug()
    context.kill_all(context.worker, f"all of machine {context.node}")


@fault(needs="machines")
def machine_loses_packets(context: FaultContext) -> None:
    machine = _machine(context)
    machine.lose_packets(PACKET_LOSS)
    context.hit(f"machine {context.node} loses packets")
    time.sleep(PAST_LEASE)
    context.hit_count(machine.lost_packets(), "packets were lost")


def _set_clock(context: FaultContext, seconds: int) -> None:
    """Move the clock of the machine that trains, and check the times of the job's points."""
    clock = context.stack.clocks[context.node]
    clock.shift(seconds)
    readings_before = clock.readings
    context.hit(f"the clock of machine {context.node} is moved by {seconds} s")
    time.sleep(PAST_LEASE)
    if not clock.readings - readings_before:
        raise Missed("no process read that clock")
    with reading(context.stack.bench.engine) as session:
        times = [point.at_ms / 1000 for point in jobs.metrics(session, context.job_id).points()]
    if times and abs(max(times) - time.time()) >= TOLERANCE_SECONDS:
        context.violations.append("a point has the time of a wrong clock")


@fault(needs="clocks")
def clock_two_hours_ahead(context: FaultContext) -> None:
    _set_clock(context, TWO_HOURS)


@fault(needs="clocks")
def clock_two_hours_behind(context: FaultContext) -> None:
    _set_clock(context, -TWO_HOURS)
