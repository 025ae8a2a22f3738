"""What a runner is given, and what it is not."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from core.data.ingest.parser import ParsedDataset
from core.sandbox.policy import Policy
from core.settings import Settings
from core.spec.job import DIGITS
from tests.support.worker_cases import LONG, until
from worker.node.memory import machine_memory, row_memory
from worker.runner.inbox import LEASE_RAN_OUT
from worker.runner.process import RunnerProcess
from worker.runner.sandbox import environment, runner_policy, share_of_cores

SECRETS = {
    "CHAINRULE_DATABASE_URL": "postgresql://u:hidden@h/d",
    "CHAINRULE_BROKER_URL": "redis://:hidden@h",
    "AWS_SECRET_ACCESS_KEY": "hidden",
    "PGPASSWORD": "hidden",
}


@pytest.fixture
def runner(parsed_digits: ParsedDataset, tmp_path: Path) -> Iterator[RunnerProcess]:
    policy = Policy((str(parsed_digits.path),), (str(tmp_path),))
    made = RunnerProcess({**os.environ, **SECRETS}, policy, threads=1)
    yield made
    made.kill()


def test_no_credentials_reach_a_runner(runner: RunnerProcess) -> None:
    until(lambda: runner.receive(0.1))
    given = psutil.Process(runner.pid).environ()
    assert not set(SECRETS) & set(given)
    assert "hidden" not in " ".join(given.values())
    assert given["OPENBLAS_NUM_THREADS"] == "1"


def test_only_listed_names_pass() -> None:
    variables = {"PATH": "/bin", "CUDA_VISIBLE_DEVICES": "0", "SECRET": "x"}
    passed = environment(variables, 2, Policy())
    assert passed["PATH"] == "/bin"
    assert passed["CUDA_VISIBLE_DEVICES"] == "0"
    assert "SECRET" not in passed
    assert passed["OMP_NUM_THREADS"] == "2"


def test_the_runner_computes_with_the_blas_kernel_that_the_worker_records() -> None:
    passed = environment({"OPENBLAS_CORETYPE": "Haswell"}, 1, Policy())
    assert passed["OPENBLAS_CORETYPE"] == "Haswell"


def test_its_temporary_files_are_where_it_may_write() -> None:
    assert environment({"TMPDIR": "/tmp"}, 1, Policy((), ("/work",)))["TMPDIR"] == "/work"


def test_a_policy_is_made_of_settings(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, queues="cpu,gpu", sandbox_without="seccomp, landlock")
    policy = runner_policy(settings, tmp_path / "work")
    assert policy.readable == (str(tmp_path / "cache"),)
    assert policy.writable == (str(tmp_path / "work"),)
    assert policy.gpu
    assert policy.without == ("seccomp", "landlock")
    assert not runner_policy(Settings(), tmp_path).gpu


def test_it_leads_a_process_group_of_its_own(runner: RunnerProcess) -> None:
    assert os.getpgid(runner.pid) == runner.pid != os.getpgid(0)


def test_it_ends_when_its_parent_lets_go(runner: RunnerProcess) -> None:
    until(lambda: runner.receive(0.1))
    runner.channel.close()
    until(runner.exited)


def test_it_ends_when_nobody_says_that_the_lease_holds(
    runner: RunnerProcess, parsed_digits: ParsedDataset, tmp_path: Path
) -> None:
    work = {
        "kind": "train",
        "specs": [{**DIGITS, **LONG}],
        "table": str(parsed_digits.path),
        "workdir": str(tmp_path),
        "resume": None,
        "checkpoint_seconds": 1000,
        "data_memory_bytes": 0,
        "arrival": None,
    }
    runner.begin({**work, "alive_until": time.monotonic() + 1})
    exit_ = until(runner.exited)
    assert exit_.code == LEASE_RAN_OUT


def test_killing_tells_how_it_ended(runner: RunnerProcess) -> None:
    assert runner.exited() is None
    exit_ = runner.kill()
    assert exit_.code == -signal.SIGKILL
    assert exit_.peak_memory_bytes > 0
    assert runner.kill() == exit_


def test_cores_are_shared_evenly() -> None:
    cores = len(os.sched_getaffinity(0))
    assert share_of_cores(0, 1) == cores
    assert share_of_cores(0, 1000) == 1
    assert share_of_cores(3, 2) == 3


def test_rows_have_half_of_what_a_slot_has() -> None:
    machine = machine_memory()
    assert machine > 2**28
    assert row_memory(7, 0, 1) == 7
    assert row_memory(0, 0, 2) == machine // 4
    assert row_memory(0, 2**20, 1) == 2**19
