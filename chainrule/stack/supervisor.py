"""Keeps commands running: starts them again when they end, and ends them all."""

import ctypes
import os
import queue
import signal
import sys
import threading
import time
from collections import deque
from contextlib import suppress

import psutil

from chainrule.stack.process import Command, Process, Say

TICK_SECONDS = 0.1
RESTART_SECONDS = 0.2
RESTART_CAP_SECONDS = 1.5
ALARM_ENDS = 5
ALARM_SECONDS = 30.0
_PR_SET_CHILD_SUBREAPER = 36


class Supervisor:
    """Runs commands from one thread of its own and restarts each that ends, within two seconds.

    With `adopt` it also takes in what its children leave orphaned and ends that too; only for a
    process whose every child is the supervisor's.
    """

    def __init__(self, say: Say, *, adopt: bool = False) -> None:
        self._say = say
        self._adopt = adopt and sys.platform == "linux"
        self._watched: list[_Watched] = []
        self._incoming: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self._stopping, self._hurry = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="supervisor")

    def start(self) -> None:
        """Begin; commands may be added before and after."""
        if self._adopt:
            ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self._thread.start()

    def add(self, command: Command) -> None:
        """Run `command` from now on."""
        self._incoming.put(command)

    def ends(self, name: str) -> int:
        """How often the command of this name has ended so far."""
        return next((len(one.ended_at) for one in self._watched if one.command.name == name), 0)

    def pids(self) -> dict[str, int]:
        """The process ids of what runs, by name."""
        return {one.command.name: one.process.pid for one in self._watched if one.process}

    def stop(self) -> None:
        """End everything, last first those that others need; returns when nothing is left."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def hurry(self) -> None:
        """Do not wait for an orderly end any longer. Safe in a signal handler."""
        self._hurry.set()
        self._stopping.set()

    def _run(self) -> None:
        # All children are started here: the kernel ends them when this thread does.
        try:
            while not self._stopping.is_set():
                self._tick()
                self._stopping.wait(TICK_SECONDS)
        finally:
            self._end([one for one in self._watched if not one.command.last])
            self._end(self._watched)
            self._sweep()

    def _tick(self) -> None:
        with suppress(queue.Empty):
            while True:
                self._watched.append(_Watched(self._incoming.get_nowait()))
        for one in self._watched:
            ended = one.collect()
            if ended is not None:
                self._say(one.command.name, f"ended ({ended}); starting it again")
                if one.keeps_ending():
                    self._say(one.command.name, "keeps ending: what it said above may tell why")
            if one.process is None and time.monotonic() >= one.start_at:
                one.process = Process(one.command, self._say)
        self._reap()

    def _end(self, those: list["_Watched"]) -> None:
        """Ask, wait as long as each may take, then destroy, with whatever they started."""
        running = [one for one in those if one.process is not None]
        started = [child for one in running for child in one.process.descendants()]  # type: ignore[union-attr]
        begun = time.monotonic()
        for one in running:
            assert one.process is not None
            one.process.terminate()
        for one in running:
            self._await(one, begun + one.command.grace_seconds)
        for child in started:
            with suppress(psutil.NoSuchProcess):
                child.kill()

    def _await(self, one: "_Watched", give_up_at: float) -> None:
        assert one.process is not None
        while one.process.poll() is None:
            if self._hurry.is_set():
                break
            if time.monotonic() > give_up_at:
                self._say(one.command.name, "does not end when asked: ending it by force")
                break
            time.sleep(TICK_SECONDS / 4)
        one.process.destroy()
        one.process = None

    def _sweep(self) -> None:
        """End what fell out of the tree of its parent into ours."""
        if not self._adopt:
            return
        for _ in range(20):
            orphans = psutil.Process().children(recursive=True)
            if not orphans:
                return
            for orphan in orphans:
                with suppress(psutil.NoSuchProcess):
                    orphan.kill()
            psutil.wait_procs(orphans, timeout=0.5)
            self._reap()

    def _reap(self) -> None:
        """Bury orphans that were left to us; our own children are left to their Popen."""
        if not self._adopt:
            return
        own = {one.process.pid for one in self._watched if one.process is not None}
        for child in psutil.Process().children():
            with suppress(psutil.NoSuchProcess, ChildProcessError):
                if child.pid not in own and child.status() == psutil.STATUS_ZOMBIE:
                    os.waitpid(child.pid, os.WNOHANG)


class _Watched:
    """A command, its process if it runs, and when it may start again."""

    def __init__(self, command: Command) -> None:
        self.command = command
        self.process: Process | None = None
        self.start_at = 0.0
        self.ended_at: deque[float] = deque(maxlen=1000)
        self.alarmed_at = -ALARM_SECONDS

    def collect(self) -> str | None:
        """How the process ended, if it just did; then the next start is set."""
        if self.process is None or (code := self.process.poll()) is None:
            return None
        self.process.destroy()
        self.process = None
        now = time.monotonic()
        recent = sum(now - at < ALARM_SECONDS for at in self.ended_at)
        self.ended_at.append(now)
        self.start_at = now + min(RESTART_SECONDS * 2**recent, RESTART_CAP_SECONDS)
        return describe(code)

    def keeps_ending(self) -> bool:
        """Whether it ended several times of late; true once in a while, not each time."""
        now = time.monotonic()
        recent = sum(now - at < ALARM_SECONDS for at in self.ended_at)
        if recent < ALARM_ENDS or now - self.alarmed_at < ALARM_SECONDS:
            return False
        self.alarmed_at = now
        return True


def describe(code: int) -> str:
    """An exit code in words: `exit code 1`, `SIGKILL`."""
    if code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"
