"""Faults of the links to PostgreSQL and to the broker: how they break, and for how long."""

import time

from tests.faults.cluster.proxy import Mode
from tests.faults.context import FaultContext
from tests.faults.matrix import PAST_LEASE, WITHIN_LEASE, Inject, fault


def _break_link(name: str, mode: Mode, seconds: float) -> Inject:
    def inject(context: FaultContext) -> None:
        link = context.stack.links[name]
        if name == "broker":
            # Without new jobs no message passes it.
            context.submit()
            context.submit()
        before = link.disrupted
        context.hit(f"the link to the {name} breaks: {mode}")
        link.mode = mode
        if mode in ("refuse", "cut"):
            link.reset()
        time.sleep(seconds * context.rng.uniform(0.9, 1.1))
        context.hit_count(
            link.disrupted - before, f"connections or pieces on the {name} link: {mode}"
        )

    return inject


_MODES: tuple[tuple[Mode, float, str], ...] = (
    ("refuse", WITHIN_LEASE, "short"),
    ("blackhole", WITHIN_LEASE, "short"),
    ("blackhole", PAST_LEASE, "long"),
    ("drop_requests", PAST_LEASE, "long"),
    ("drop_responses", PAST_LEASE, "long"),
    ("slow", WITHIN_LEASE, "short"),
    ("cut", WITHIN_LEASE, "short"),
)

for _name in ("database", "broker"):
    for _mode, _seconds, _duration in _MODES:
        fault(name=f"{_name}_link_{_mode}_{_duration}")(_break_link(_name, _mode, _seconds))


@fault()
def links_cut_one_by_one_and_restored_in_another_order(context: FaultContext) -> None:
    links = list(context.stack.links.values())
    before = sum(link.disrupted for link in links)
    context.hit("the links break one by one")
    for _ in range(2):
        context.rng.shuffle(links)
        for link in links:
            link.mode = "blackhole" if link.mode == "open" else "open"
            link.reset()
            time.sleep(context.rng.uniform(0.5, 2.0))
    context.hit_count(sum(link.disrupted for link in links) - before, "connections or pieces")
