"""Keep commands running: restart those that end, and stop all of them."""

import ctypes
import math
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
    """Run commands from one thread, and restart within two seconds each that ends, unless `once`.

    With `adopt`, the supervisor also adopts and ends orphaned descendants. Use it only in a process
    all of whose children belong to the supervisor.
    """

    def __init__(self, say: Say, *, adopt: bool = False) -> None:
        self._say = say
        self._adopt = adopt and sys.platform == "linux"
        self._watched: list[_Watched] = []
        self._incoming: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self._stopping, self._hurry = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="supervisor")

    def start(self) -> None:
        """Start. Commands may be added before and after."""
        if self._adopt:
            ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self._thread.start()

    def add(self, command: Command) -> None:
        """Run `command` from now on."""
        self._incoming.put(command)

    def ends(self, name: str) -> int:
        """Return how often the command of this name has ended."""
        return next(
            (len(entry.ended_at) for entry in self._watched if entry.command.name == name), 0
        )

    def exit_code(self, name: str) -> int | None:
        """Return how the command of this name ended last; None while it has not ended."""
        return next(
            (entry.exit_code for entry in self._watched if entry.command.name == name), None
        )

    def pids(self) -> dict[str, int]:
        """Return the ids of the running processes, by name."""
        return {entry.command.name: entry.process.pid for entry in self._watched if entry.process}

    def stop(self) -> None:
        """Stop all processes, those that others need last. Returns when none is left."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def hurry(self) -> None:
        """Kill processes instead of waiting for them. Safe in a signal handler."""
        self._hurry.set()
        self._stopping.set()

    def _run(self) -> None:
        # All children start on this thread: the kernel kills them when it ends.
        try:
            while not self._stopping.is_set():
                self._tick()
                self._stopping.wait(TICK_SECONDS)
        finally:
            self._end([entry for entry in self._watched if not entry.command.last])
            self._end(self._watched)
            self._sweep()

    def _tick(self) -> None:
        with suppress(queue.Empty):
            while True:
                self._watched.append(_Watched(self._incoming.get_nowait()))
        for entry in self._watched:
            ended = entry.collect()
            if ended is not None and not entry.command.once:
                self._say(entry.command.name, f"ended ({ended}); starting it again")
                if entry.keeps_ending():
                    self._say(entry.command.name, "keeps ending: its lines above may show why")
            if entry.process is None and time.monotonic() >= entry.start_at:
                entry.process = Process(entry.command, self._say)
        self._reap()

    def _end(self, entries: list["_Watched"]) -> None:
        """Send SIGTERM, wait as long as each may take, then kill, with all descendants."""
        running = [entry for entry in entries if entry.process is not None]
        started = [child for entry in running for child in entry.process.descendants()]  # type: ignore[union-attr]
        begun = time.monotonic()
        for entry in running:
            assert entry.process is not None
            entry.process.terminate()
        for entry in running:
            self._await(entry, begun + entry.command.grace_seconds)
        for child in started:
            with suppress(psutil.NoSuchProcess):
                child.kill()

    def _await(self, entry: "_Watched", give_up_at: float) -> None:
        assert entry.process is not None
        while entry.process.poll() is None:
            if self._hurry.is_set():
                break
            if time.monotonic() > give_up_at:
                self._say(entry.command.name, "does not stop after SIGTERM: killing it")
                break
            time.sleep(TICK_SECONDS / 4)
        entry.process.destroy()
        entry.process = None

    def _sweep(self) -> None:
        """Kill orphaned descendants that this process adopted."""
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
        """Collect the exit codes of ended orphans. Popen collects those of our own children.

        The kernel names an ended child; reading all processes of the machine would take longer.
        """
        if not self._adopt:
            return
        own = {entry.process.pid for entry in self._watched if entry.process is not None}
        only_name = os.WEXITED | os.WNOHANG | os.WNOWAIT
        with suppress(ChildProcessError):
            # An ended child of ours comes first until Popen has collected it, soon.
            while (ended := os.waitid(os.P_ALL, 0, only_name)) and ended.si_pid not in own:
                os.waitpid(ended.si_pid, os.WNOHANG)


class _Watched:
    """A command, its process if it runs, and the time of its next start."""

    def __init__(self, command: Command) -> None:
        self.command = command
        self.process: Process | None = None
        self.start_at = 0.0
        self.exit_code: int | None = None
        self.ended_at: deque[float] = deque(maxlen=1000)
        self.alarmed_at = -ALARM_SECONDS

    def collect(self) -> str | None:
        """Return how the process ended if it just did, and schedule its next start."""
        if self.process is None or (code := self.process.poll()) is None:
            return None
        self.process.destroy()
        self.process, self.exit_code = None, code
        now = time.monotonic()
        recent = sum(now - at < ALARM_SECONDS for at in self.ended_at)
        self.ended_at.append(now)
        pause = min(RESTART_SECONDS * 2**recent, RESTART_CAP_SECONDS)
        self.start_at = math.inf if self.command.once else now + pause
        return describe(code)

    def keeps_ending(self) -> bool:
        """Return whether it ended several times lately. True only once in 30 s."""
        now = time.monotonic()
        recent = sum(now - at < ALARM_SECONDS for at in self.ended_at)
        if recent < ALARM_ENDS or now - self.alarmed_at < ALARM_SECONDS:
            return False
        self.alarmed_at = now
        return True


def describe(code: int) -> str:
    """Format an exit code: `exit code 1`, `SIGKILL`."""
    if code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"
