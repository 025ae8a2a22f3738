"""A parser that a wrong file took over can do nothing but parse."""

import json
import os
from typing import Any

import pytest

import worker
from core.data.ingest import parser
from core.data.ingest.limits import Limits
from core.errors import InvalidError
from core.sandbox.policy import Policy, command
from tests.support.attacks.attacker import ATTACKS
from tests.support.attacks.targets import TESTS, skip_unless_refused, targets


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What an attacker reports who runs in place of a parser of this process."""
    folder = tmp_path_factory.mktemp("uploads")
    (folder / "upload").write_bytes(b"a\n1\n")
    with (
        pytest.MonkeyPatch.context() as patch,
        targets(folder, folder / "other", folder / "own", os.getpid()) as target,
    ):
        patch.setattr(parser, "command", attacking)
        patch.setenv("CHAINRULE_API_TOKEN", "hidden")
        wanted = json.dumps({"names": list(ATTACKS), "target": target.document()})
        with pytest.raises(InvalidError) as raised:
            parser.parse(folder / "upload", wanted, folder / "own" / "canonical")
    document: dict[str, Any] = json.loads(raised.value.detail)
    return document


def attacking(policy: Policy, module: str) -> list[str]:
    """The command of a parser, with another module in its place."""
    assert module == parser.PARSER
    code = (TESTS, worker.__path__[0])
    return command(
        Policy((*policy.readable, *code), policy.writable), "tests.support.attacks.impostor"
    )


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused(name: str, report: dict[str, Any]) -> None:
    skip_unless_refused(name)
    assert report["outcomes"][name] == "refused"


def test_no_secret_is_in_its_environment(report: dict[str, Any]) -> None:
    assert "hidden" not in report["variables"].values()
    assert not [name for name in report["variables"] if name.startswith("CHAINRULE")]


def test_it_inherits_no_file(report: dict[str, Any]) -> None:
    assert report["files"] == []


def test_its_resources_are_limited(report: dict[str, Any]) -> None:
    assert report["core_bytes"] == 0
    assert report["memory_bytes"] == Limits().memory_bytes
    assert report["open_files"] <= 256
