"""The pulse beats while a process comes round, and only then."""

import threading

from worker.node.heartbeat import touch_pulse_file
from worker.scheduler.loop import Loop


def test_a_beat_touches_the_file(tmp_path):
    touch_pulse_file(tmp_path / "pulse")
    assert (tmp_path / "pulse").exists()


def test_no_file_and_no_folder_do_no_harm(tmp_path):
    touch_pulse_file(None)
    touch_pulse_file(tmp_path / "absent" / "pulse")
    assert not (tmp_path / "absent").exists()


def test_a_loop_that_hangs_turns_no_more():
    entered, release = threading.Event(), threading.Event()

    def work():
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
