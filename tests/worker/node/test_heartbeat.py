"""The pulse file is touched while the loops of a process are healthy."""

import threading
from pathlib import Path

from worker.node.heartbeat import touch_pulse_file
from worker.scheduler.loop import Loop


def test_the_pulse_file_is_touched(tmp_path: Path) -> None:
    touch_pulse_file(tmp_path / "pulse")
    assert (tmp_path / "pulse").exists()


def test_without_a_file_or_its_folder_nothing_happens(tmp_path: Path) -> None:
    touch_pulse_file(None)
    touch_pulse_file(tmp_path / "absent" / "pulse")
    assert not (tmp_path / "absent").exists()


def test_a_loop_that_hangs_is_not_healthy() -> None:
    entered, release = threading.Event(), threading.Event()

    def work() -> None:
        entered.set()
        release.wait(30)

    loop = Loop("hanging", 0.0, work)
    loop.start()
    assert entered.wait(30)
    assert loop.healthy(30.0)
    assert not loop.healthy(0.0)
    release.set()
    loop.end(30.0)
    assert loop.healthy(30.0)
