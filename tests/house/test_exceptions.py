"""Every exception to a rule has a reason and is still needed."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.house.sources import OTHERS, PRODUCT, ROOT, sources

PROJECT = (ROOT / "pyproject.toml").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
TOOLS = tomllib.loads(PROJECT)["tool"]
EVERYWHERE: list[str] = TOOLS["ruff"]["lint"]["ignore"]
IGNORED: dict[str, list[str]] = TOOLS["ruff"]["lint"]["per-file-ignores"]
UNTYPED: list[str] = [
    name
    for override in TOOLS["mypy"]["overrides"]
    if override.get("ignore_missing_imports")
    for name in override["module"]
]

NOQA = re.compile(r"# noqa: (?P<codes>[A-Z]+\d+(?:, ?[A-Z]+\d+)*)(?P<rest>.*)")
WITH_REASON = re.compile(r"C901|PLR0913|ARG\d+")
STAGED = "RUF100"
"""What the ignores of folders that do not keep the newest rules yet contain."""


@cache
def offences() -> dict[str, set[str]]:
    """The codes of ruff's rules that each file would break if nothing were ignored."""
    checked = subprocess.run(
        [
            Path(sys.executable).with_name("ruff"), "check", ".", "--quiet", "--no-cache",
            "--output-format", "json", "--config", "lint.per-file-ignores = {}",
            "--select", ",".join(TOOLS["ruff"]["lint"]["select"]),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )  # fmt: skip
    codes = defaultdict(set)
    for finding in json.loads(checked.stdout):
        codes[Path(finding["filename"]).relative_to(ROOT).as_posix()].add(finding["code"])
    return dict(codes)


def expanded(pattern: str) -> list[str]:
    """The patterns that one with braces stands for, as a shell expands them."""
    braces = re.search(r"\{([^{}]*)\}", pattern)
    if braces is None:
        return [pattern]
    before, after = pattern[: braces.start()], pattern[braces.end() :]
    return [f"{before}{choice}{after}" for choice in braces[1].split(",")]


def broken(pattern: str, codes: Sequence[str]) -> set[str]:
    """Those of the codes (`S` stands for all that begin so) that files of a pattern break."""
    rules = {rule for name in offences() if fnmatchcase(name, pattern) for rule in offences()[name]}
    return {code for code in codes if any(rule.startswith(code) for rule in rules)}


def reason_missing(line: str) -> bool:
    """Whether a line excepts itself from one of the rules that ask for a reason without one."""
    noqa = NOQA.search(line)
    return bool(noqa and WITH_REASON.search(noqa["codes"]) and not re.search(r"\w\w", noqa["rest"]))


@cache
def imported() -> set[str]:
    """The top-level packages that any file imports, as a statement or by name."""
    names: set[object] = set()
    for file in sources(*PRODUCT, *OTHERS):
        for node in ast.walk(file.tree):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module)
            elif isinstance(node, ast.Call):
                names |= {arg.value for arg in node.args if isinstance(arg, ast.Constant)}
    return {name.partition(".")[0] for name in names if isinstance(name, str)}


def test_patterns_with_braces_are_expanded() -> None:
    assert expanded("a/{b,c/*}.py") == ["a/b.py", "a/c/*.py"]


@pytest.mark.parametrize("pattern", [key for key, codes in IGNORED.items() if STAGED not in codes])
def test_each_per_file_ignore_is_needed(pattern: str) -> None:
    needed = {part: broken(part, IGNORED[pattern]) for part in expanded(pattern)}
    assert [part for part, codes in needed.items() if not codes] == []
    assert set.union(*needed.values()) == set(IGNORED[pattern])


def test_each_rule_that_is_ignored_everywhere_is_needed() -> None:
    assert broken("*", EVERYWHERE) == set(EVERYWHERE)


def test_each_per_file_ignore_has_a_reason() -> None:
    section = PROJECT.partition("[tool.ruff.lint.per-file-ignores]\n")[2].partition("\n\n")[0]
    lines = [line for line in section.splitlines() if not line.startswith("#")]
    assert len(lines) == len(IGNORED)
    without = [line for line in lines if not re.search(r"\] # \w+", line) and STAGED not in line]
    assert not without


def test_each_exception_in_a_line_has_a_reason() -> None:
    without = [
        f"{file.name}:{number}: {line.strip()}"
        for file in sources(*PRODUCT, *OTHERS)
        for number, line in enumerate(file.text.splitlines(), 1)
        if reason_missing(line)
    ]
    assert not without, "\n" + "\n".join(without)


@pytest.mark.parametrize(
    ("line", "missing"),
    [
        ("def f():  # noqa: C" + "901", True),
        ("def f():  # noqa: ARG" + "001 - the signature of a handler", False),
        ("import a  # noqa: F" + "401", False),
    ],
)
def test_a_missing_reason_is_reported(line: str, missing: bool) -> None:
    assert reason_missing(line) is missing


@pytest.mark.parametrize("name", UNTYPED)
def test_each_package_without_types_is_imported(name: str) -> None:
    assert name.partition(".")[0] in imported()


@cache
def insecure() -> set[str]:
    """The tests of bandit that the checked folders would fail if nothing were skipped."""
    target = re.search(
        r"^security:.*\n\t@\$\(BIN\)/bandit .* pyproject\.toml (.+)$", MAKEFILE, re.M
    )
    assert target
    checked = subprocess.run(
        [
            Path(sys.executable).with_name("bandit"), "--quiet", "--recursive", "--format", "json",
            *target[1].split(),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )  # fmt: skip
    return {finding["test_id"] for finding in json.loads(checked.stdout)["results"]}


def test_bandit_skips_only_what_is_needed() -> None:
    assert insecure() == set(TOOLS["bandit"]["skips"])


def test_each_skip_of_bandit_has_a_reason() -> None:
    section = PROJECT.partition("[tool.bandit]\nskips = [\n")[2].partition("\n]")[0]
    lines = section.splitlines()
    assert len(lines) == len(TOOLS["bandit"]["skips"])
    assert not [line for line in lines if not re.search(r'", # \w+', line)]


def test_the_version_of_python_is_the_same_for_all_tools() -> None:
    project: dict[str, Any] = tomllib.loads(PROJECT)["project"]
    version = project["requires-python"].removeprefix(">=")
    assert TOOLS["mypy"]["python_version"] == version
    assert TOOLS["ruff"]["target-version"] == f"py{version.replace('.', '')}"
