"""Children are started again, end in order, and never outlive us."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import psutil
import pytest

from chainrule.stack.process import Command
from chainrule.stack.supervisor import Supervisor, describe

LIMIT_SECONDS = 20.0
SLEEP = "import time; time.sleep(600)"
DEAF = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print('deaf', flush=True); time.sleep(600)"
)
PARENT = (
    "import subprocess, sys, time; "
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); "
    "print(child.pid, flush=True); time.sleep(600)"
)


def until(condition: Callable[[], object]) -> None:
    """Wait for something to become true."""
    give_up_at = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert time.monotonic() < give_up_at, "it did not happen"
        time.sleep(0.02)


def gone(pid: int) -> bool:
    """Whether a process does not run any more."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def python(name: str, code: str, *, last: bool = False, grace_seconds: float = 5) -> Command:
    return Command(
        name, (sys.executable, "-c", code), dict(os.environ), grace_seconds=grace_seconds, last=last
    )


class Heard:
    """What the children said."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def __call__(self, name: str, line: str) -> None:
        self.lines.append((name, line))

    def of(self, name: str) -> list[str]:
        return [line for who, line in self.lines if who == name]


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def supervisor(heard: Heard) -> Iterator[Supervisor]:
    one = Supervisor(heard)
    one.start()
    yield one
    one.hurry()
    one.stop()


def test_a_killed_child_is_started_again(supervisor: Supervisor, heard: Heard) -> None:
    supervisor.add(python("a", SLEEP))
    until(lambda: "a" in supervisor.pids())
    first = supervisor.pids()["a"]
    os.kill(first, signal.SIGKILL)
    until(lambda: supervisor.pids().get("a", first) != first)
    assert supervisor.ends("a") == 1
    assert "ended (SIGKILL); starting it again" in heard.of("a")


def test_a_child_that_keeps_ending_is_reported_once(supervisor: Supervisor, heard: Heard) -> None:
    supervisor.add(python("a", "print('no such setting'); raise SystemExit(3)"))
    until(lambda: supervisor.ends("a") >= 7)
    assert heard.of("a").count("no such setting") >= 6
    assert len([line for line in heard.of("a") if line.startswith("keeps ending")]) == 1


def test_a_child_that_ignores_sigterm_is_killed(supervisor: Supervisor, heard: Heard) -> None:
    supervisor.add(python("a", DEAF, grace_seconds=0.5))
    until(lambda: "deaf" in heard.of("a"))
    pid = supervisor.pids()["a"]
    supervisor.stop()
    assert gone(pid)
    assert "does not stop after SIGTERM: killing it" in heard.of("a")


def test_a_frozen_child_is_killed(supervisor: Supervisor) -> None:
    supervisor.add(python("a", SLEEP, grace_seconds=0.5))
    until(lambda: "a" in supervisor.pids())
    pid = supervisor.pids()["a"]
    os.kill(pid, signal.SIGSTOP)
    supervisor.stop()
    assert gone(pid)


def test_grandchildren_end_too(supervisor: Supervisor, heard: Heard) -> None:
    supervisor.add(python("a", PARENT))
    until(lambda: heard.of("a"))
    grandchild = int(heard.of("a")[0])
    supervisor.stop()
    until(lambda: gone(grandchild))


def test_the_grandchildren_of_a_killed_child_end_before_it_starts_again(
    supervisor: Supervisor, heard: Heard
) -> None:
    supervisor.add(python("a", PARENT))
    until(lambda: heard.of("a"))
    grandchild = int(heard.of("a")[0])
    os.kill(supervisor.pids()["a"], signal.SIGKILL)
    until(lambda: supervisor.ends("a"))
    until(lambda: gone(grandchild))


def test_what_others_need_ends_last(supervisor: Supervisor, heard: Heard) -> None:
    telling = (
        "import signal, sys, time\n"
        "def end(*_): print('bye', flush=True); sys.exit()\n"
        "signal.signal(signal.SIGTERM, end); print('here', flush=True); time.sleep(600)"
    )
    supervisor.add(python("broker", telling, last=True))
    supervisor.add(python("worker", telling))
    until(lambda: len([1 for _, line in heard.lines if line == "here"]) == 2)
    supervisor.stop()
    assert [name for name, line in heard.lines if line == "bye"] == ["worker", "broker"]


@pytest.mark.parametrize("code", [0, 3])
def test_a_command_that_runs_once_is_not_started_again(
    supervisor: Supervisor, heard: Heard, code: int
) -> None:
    supervisor.add(replace(python("a", f"print('ran'); raise SystemExit({code})"), once=True))
    supervisor.add(python("b", "print('ran')"))
    until(lambda: heard.of("b").count("ran") > 2)
    assert supervisor.exit_code("a") == code
    assert heard.of("a") == ["ran"]
    assert "a" not in supervisor.pids()


def test_children_end_with_a_supervisor_that_was_killed() -> None:
    program = (
        "import os, sys, time\n"
        "from chainrule.stack.process import Command\n"
        "from chainrule.stack.supervisor import Supervisor\n"
        "one = Supervisor(lambda name, line: None, adopt=True)\n"
        f"one.add(Command('a', (sys.executable, '-c', {SLEEP!r}), dict(os.environ)))\n"
        "one.start()\n"
        "while not one.pids(): time.sleep(0.02)\n"
        "print(one.pids()['a'], flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        assert not gone(child)
        process.kill()
    until(lambda: gone(child))


def test_orphans_that_left_their_group_are_swept_up() -> None:
    """A child starts a session of its own below it and is killed: the orphan still ends."""
    stray = (
        "import subprocess, sys, time; "
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'],"
        " start_new_session=True); print(child.pid, flush=True); time.sleep(600)"
    )
    program = (
        "import os, signal, sys, time\n"
        "from chainrule.stack.process import Command\n"
        "from chainrule.stack.supervisor import Supervisor\n"
        "said = []\n"
        "one = Supervisor(lambda name, line: said.append(line), adopt=True)\n"
        f"one.add(Command('a', (sys.executable, '-c', {stray!r}), dict(os.environ)))\n"
        "one.start()\n"
        "while not said: time.sleep(0.02)\n"
        "os.kill(one.pids()['a'], signal.SIGKILL)\n"
        "while not one.ends('a'): time.sleep(0.02)\n"
        "one.stop()\n"
        "print(said[0])\n"
    )
    output = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert gone(int(output))


def test_orphans_that_end_by_themselves_are_collected() -> None:
    """A child leaves an orphan that ends while the child runs on: no zombie stays."""
    between = (
        "import subprocess, sys; "
        "print(subprocess.Popen([sys.executable, '-c', 'input()'], stdin=0).pid, flush=True)"
    )
    child = (
        "import os, subprocess, sys, time\n"
        "reading, writing = os.pipe()\n"
        f"subprocess.run([sys.executable, '-c', {between!r}], stdin=reading)\n"
        "os.close(writing)\n"
        "time.sleep(600)"
    )
    program = (
        "import os, sys, time\n"
        "from chainrule.stack.process import Command\n"
        "from chainrule.stack.supervisor import Supervisor\n"
        "lines = []\n"
        "one = Supervisor(lambda name, line: lines.append(line), adopt=True)\n"
        f"one.add(Command('a', (sys.executable, '-c', {child!r}), dict(os.environ)))\n"
        "one.start()\n"
        "while not lines: time.sleep(0.02)\n"
        "until = time.monotonic() + 30\n"
        "while os.path.exists(f'/proc/{lines[0]}') and time.monotonic() < until:"
        " time.sleep(0.02)\n"
        "collected = not os.path.exists(f'/proc/{lines[0]}')\n"
        "one.hurry()\n"
        "one.stop()\n"
        "print(collected)\n"
    )
    output = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert output == "True\n"


@pytest.mark.parametrize(
    ("code", "words"), [(3, "exit code 3"), (-9, "SIGKILL"), (-99, "signal 99")]
)
def test_exit_codes_in_words(code: int, words: str) -> None:
    assert describe(code) == words
