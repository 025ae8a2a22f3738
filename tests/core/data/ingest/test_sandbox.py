"""The process that parses takes no more than its limits; test_attacks.py has what it may not do."""

import subprocess
import sys

import pytest

from core.data.ingest.parser import ENVIRONMENT

CONFINED = """
import resource
from core.data.ingest.sandbox import limit_resources
from core.data.ingest.limits import Limits
limit_resources(Limits(memory_bytes=2**30, cpu_seconds=7, bytes_per_cpu_second=2**40), 1)
"""


def confined(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", CONFINED + code],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )


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
