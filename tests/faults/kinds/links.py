"""Faults of the links to PostgreSQL and to the broker: what breaks, and for how long."""

import time
from collections.abc import Callable

from tests.faults.cluster.proxy import Mode
from tests.faults.matrix import PAST_LEASE, WITHIN_LEASE, fault
from tests.faults.scene import Scene


def _break_link(which: str, mode: Mode, seconds: float) -> Callable[[Scene], None]:
    def broken(scene: Scene) -> None:
        link = scene.stack.links[which]
        if which == "broker":
            # Something is to go over it.
            scene.more()
            scene.more()
        before = link.harmed
        scene.struck(f"the link to the {which} breaks: {mode}")
        link.mode = mode
        if mode in ("refuse", "cut"):
            link.reset()
        time.sleep(seconds * scene.rng.uniform(0.9, 1.1))
        scene.counted(link.harmed - before, f"connections or pieces on the {which} link: {mode}")

    return broken


for _which in ("database", "broker"):
    for _mode, _seconds, _long in (
        ("refuse", WITHIN_LEASE, "short"),
        ("blackhole", WITHIN_LEASE, "short"),
        ("blackhole", PAST_LEASE, "long"),
        ("deaf", PAST_LEASE, "long"),
        ("mute", PAST_LEASE, "long"),
        ("slow", WITHIN_LEASE, "short"),
        ("cut", WITHIN_LEASE, "short"),
    ):
        fault(name=f"{_which}_link_{_mode}_{_long}")(
            _break_link(_which, _mode, _seconds)  # type: ignore[arg-type]
        )


@fault()
def links_cut_one_by_one_and_healed_in_another_order(scene: Scene) -> None:
    links = list(scene.stack.links.values())
    before = sum(link.harmed for link in links)
    scene.struck("the links break one by one")
    for _ in range(2):
        scene.rng.shuffle(links)
        for link in links:
            link.mode = "blackhole" if link.mode == "open" else "open"
            link.reset()
            time.sleep(scene.rng.uniform(0.5, 2.0))
    scene.counted(sum(link.harmed for link in links) - before, "connections or pieces")
