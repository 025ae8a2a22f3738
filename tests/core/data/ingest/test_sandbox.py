"""The confined process can reach no network and take no more than its limits."""

import socket
import subprocess
import sys

import pytest

from core.data.ingest.parser import ENVIRONMENT

CONFINED = """
import resource, socket, sys
from core.data.ingest.sandbox import confine
from core.data.ingest.limits import Limits
confine(Limits(memory_bytes=2**30, cpu_seconds=7, bytes_per_cpu_second=2**40), 1)
"""


def confined(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", CONFINED + code],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has network namespaces")
def test_no_network() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            pass
        answer = confined(f"socket.create_connection(('127.0.0.1', {port}))")
    assert "unreachable" in answer.stderr


def test_limits_are_set() -> None:
    answer = confined("print(resource.getrlimit(resource.RLIMIT_CPU), flush=True)")
    assert answer.stdout.strip() == "(7, 12)"


@pytest.mark.skipif(sys.platform != "linux", reason="macOS does not keep address space limits")
def test_memory_is_limited() -> None:
    assert "MemoryError" in confined("bytearray(2**30)").stderr


def test_no_bug_of_ours_passes_for_a_wrong_file() -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "core.data.ingest.sandbox"],
        env=ENVIRONMENT,
        input=b"{}",
        capture_output=True,
        check=False,
    )
    assert answer.returncode == 1
    assert answer.stdout == b""
