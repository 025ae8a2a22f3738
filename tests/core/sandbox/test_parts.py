"""Each part of the sandbox alone refuses what it is for; without any, everything is possible."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from core.sandbox.policy import PARTS, Policy, command, environment
from tests.support.attacks.attack import Target
from tests.support.attacks.attacker import ATTACKS
from tests.support.attacks.targets import TESTS, holding, targets

PAIRS = [(name, part) for name, attack in ATTACKS.items() for part in attack.parts]
LISTENER = """
import socket
try:
    server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    server.bind("\\0cuda-uvmfd")
    server.listen()
    print("listens")
except PermissionError:
    print("refused")
"""
"""What CUDA does for files that it shares with processes that it starts."""

Attacked = Callable[[str], dict[str, str]]


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """Files, servers and a process of the same user."""
    place = tmp_path_factory.mktemp("attacked")
    waiting = [sys.executable, "-c", "input()"]
    with subprocess.Popen(waiting, stdin=subprocess.PIPE) as process:
        with targets(place, place / "job", place / "own", process.pid) as made:
            yield made
        process.kill()


@pytest.fixture(scope="module")
def attacked(target: Target) -> Attacked:
    """Does all attacks that a part is for, with no other part. Returns the outcomes."""

    @cache
    def attack(part: str) -> dict[str, str]:
        names = [name for name, its_part in PAIRS if its_part == part]
        kept = {part.partition(":")[0], "no_new_privs"}
        return attempted(names, target, set(PARTS) - kept)

    return attack


def attempted(
    names: list[str], target: Target, without: set[str], *, gpu: bool = False
) -> dict[str, str]:
    """What comes of attacks in one process, in a sandbox without some parts."""
    policy = Policy((TESTS,), (target.own,), gpu, tuple(without))
    process = subprocess.run(
        command(policy, "tests.support.attacks.attacker"),
        env=environment() | {"HOME": os.environ.get("HOME", "/root")},
        input=json.dumps({"names": names, "target": target.document()}),
        capture_output=True,
        text=True,
        check=True,
    )
    outcomes: dict[str, str] = json.loads(process.stdout or "{}")
    return outcomes


@pytest.mark.parametrize(("name", "part"), PAIRS)
def test_a_part_alone_refuses(name: str, part: str, attacked: Attacked) -> None:
    if part not in holding():
        pytest.skip(f"this kernel has no {part}")
    assert attacked(part)[name] == "refused"


@pytest.mark.skipif(os.geteuid() != 0, reason="other users are refused some of it anyway")
@pytest.mark.parametrize("name", ATTACKS)
def test_without_a_sandbox_it_is_not_refused(name: str, tmp_path: Path, target: Target) -> None:
    with targets(tmp_path, tmp_path / "job", tmp_path / "own", target.process) as fresh:
        assert attempted([name], fresh, set(PARTS)).get(name) != "refused"


def test_a_gpu_opens_no_other_doors(target: Target) -> None:
    opened = {"read_command_line_of_parent", "list_files_of_parent"}  # CUDA reads /proc
    names = [name for name, attack in ATTACKS.items() if holding() & set(attack.parts)]
    outcomes = attempted(names, target, set(), gpu=True)
    assert {name for name, outcome in outcomes.items() if outcome != "refused"} <= opened


@pytest.mark.parametrize(("gpu", "expected"), [(True, "listens"), (False, "refused")])
def test_only_with_a_gpu_it_listens_on_unix_sockets(
    gpu: bool, expected: str, target: Target
) -> None:
    if "seccomp" not in holding():
        pytest.skip("this kernel has no seccomp")
    (Path(target.own) / "listener.py").write_text(LISTENER)
    variables = environment()
    variables["PYTHONPATH"] += f":{target.own}"
    policy = Policy(writable=(target.own,), gpu=gpu)
    printed = subprocess.check_output(command(policy, "listener"), env=variables, text=True)
    assert printed.strip() == expected
