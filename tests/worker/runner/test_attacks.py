"""A runner whose code is an attacker's can do nothing but train."""

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

import worker
from core.settings import Settings
from tests.support.attacks.attacker import ATTACKS
from tests.support.attacks.impostor import MEMORY_BYTES
from tests.support.attacks.targets import TESTS, skip_unless_refused, targets
from tests.support.worker_cases import until
from worker.node.workspace import Workspace
from worker.runner.process import RunnerProcess
from worker.runner.sandbox import runner_policy


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What an attacker reports who runs in place of a runner of this process."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("data"))
    workspace, other = (Workspace(settings.data_dir / "work") for _ in range(2))
    policy = runner_policy(settings, workspace.attempts)
    code = (TESTS, worker.__path__[0])
    process = RunnerProcess(
        {**os.environ, "CHAINRULE_API_TOKEN": "hidden"},
        replace(policy, readable=(*policy.readable, *code)),
        threads=1,
        memory_bytes=MEMORY_BYTES,
        module="tests.support.attacks.impostor",
    )
    own = workspace.folder("job-1")
    with targets(settings.data_dir, other.folder("job-2"), own, os.getpid()) as target:
        process.channel.send({"names": list(ATTACKS), "target": target.document()})
        yield until(lambda: process.receive(1))
    process.kill()


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused(name: str, report: dict[str, Any]) -> None:
    skip_unless_refused(name)
    assert report["outcomes"][name] == "refused"


def test_no_secret_is_in_its_environment(report: dict[str, Any]) -> None:
    assert "hidden" not in report["variables"].values()
    assert not [name for name in report["variables"] if name.startswith("CHAINRULE")]


def test_it_inherits_no_file_but_its_channel(report: dict[str, Any]) -> None:
    assert len(report["files"]) == 1


def test_its_resources_are_limited(report: dict[str, Any]) -> None:
    assert report["core_bytes"] == 0
    assert report["memory_bytes"] == MEMORY_BYTES
    assert report["open_files"] <= 1024
