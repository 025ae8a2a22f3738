"""What a process asks of the kernel for itself."""

import os
import resource
import select
import subprocess
import sys
from pathlib import Path

import pytest

from core.sandbox.policy import PARTS, Policy, command, environment
from core.sandbox.process import limit

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has these")

PARENT = """
import subprocess, sys
from core.sandbox.namespaces import drop_capabilities
from core.sandbox.process import hide_memory
drop_capabilities()  # nobody without the capabilities of root reads the memory of root
if sys.argv[1] == "hidden":
    hide_memory()
sys.exit(subprocess.call(sys.argv[2:]))
"""
STARTED = """
import os, sys
from core.sandbox.kernel import prctl
import {module} as module
module.{made} = lambda *_: sys.exit(f"{{prctl(3)}} {{os.environ.get('CHAINRULE_API_TOKEN')}}")
module.{main}()
"""
"""Runs a process of ours up to what it makes first. Ends with PR_GET_DUMPABLE and the token."""

CHILD = "import os; print(open(f'/proc/{os.getppid()}/environ').read())"


def read_by_child(folder: Path, memory: str) -> subprocess.CompletedProcess[str]:
    """What a child without capabilities reads of its parent's environment."""
    (folder / "child.py").write_text(CHILD)
    policy = Policy(without=tuple(set(PARTS) - {"capabilities"}))
    variables = environment()
    variables["PYTHONPATH"] += f":{folder}"
    return subprocess.run(
        [sys.executable, "-c", PARENT, memory, *command(policy, "child")],
        env=variables | {"CHAINRULE_API_TOKEN": "very-secret"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_process_that_hides_its_memory_keeps_its_secrets(tmp_path: Path) -> None:
    read = read_by_child(tmp_path, "hidden")
    assert "very-secret" not in read.stdout
    assert "PermissionError" in read.stderr


def test_any_other_process_shows_them(tmp_path: Path) -> None:
    assert "very-secret" in read_by_child(tmp_path, "open").stdout


@pytest.mark.parametrize(
    ("module", "main", "made", "shown"),
    [
        ("api.__main__", "main", "create_app", "0 None"),
        ("worker.__main__", "main", "WorkerApp", "0 None"),
        ("worker.scheduler.__main__", "main", "Scheduler", "0 None"),
        ("worker.node.chunk_server", "main", "Cache", "0 very-secret"),
        # It starts processes that need the token.
        ("chainrule.cli.commands.server.up", "up", "Options", "0 very-secret"),
    ],
)
def test_processes_hide_and_forget_before_they_start(
    module: str, main: str, made: str, shown: str
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", STARTED.format(module=module, main=main, made=made)],
        env={**os.environ, "CHAINRULE_API_TOKEN": "very-secret"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stderr.splitlines()[-1] == shown


def test_a_limit_is_only_lowered() -> None:
    before = resource.getrlimit(resource.RLIMIT_CPU)
    try:
        limit(resource.RLIMIT_CPU, resource.RLIM_INFINITY if before[1] < 0 else before[1] + 1)
        assert resource.getrlimit(resource.RLIMIT_CPU)[1] == before[1]
    finally:
        resource.setrlimit(resource.RLIMIT_CPU, before)


def test_a_sandboxed_process_ends_with_its_parent(tmp_path: Path) -> None:
    (tmp_path / "waits.py").write_text("print(flush=True)\ninput()\n")
    variables = environment()
    variables["PYTHONPATH"] += f":{tmp_path}"
    starts = "import subprocess, sys; print(subprocess.Popen(sys.argv[1:]).pid); input()"
    with subprocess.Popen(
        [sys.executable, "-uc", starts, *command(Policy((str(tmp_path),)), "waits")],
        env=variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.stdout.readline()  # the sandbox holds
        watched = os.pidfd_open(pid)
        parent.kill()
        ended, _, _ = select.select([watched], [], [], 30)
        os.close(watched)
        assert ended
