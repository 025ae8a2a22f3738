"""The Python files of this repository, parsed once for all rules."""

import ast
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PRODUCT = ("api", "worker", "core", "chainrule", "migrations")
OTHERS = ("tests", "benchmarks", "deploy", "docs", "examples")

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Source(NamedTuple):
    """A file: its path below the root with slashes, its text, and its syntax tree."""

    name: str
    text: str
    tree: ast.Module

    @property
    def module(self) -> str:
        """The dotted name by which the file is imported."""
        return self.name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def source(text: str, name: str = "core/example.py") -> Source:
    """A source of this text, for tests of the rules."""
    return Source(name, text, ast.parse(text))


@cache
def sources(*folders: str) -> tuple[Source, ...]:
    """All Python files below the folders, in the same order on every machine."""
    paths = sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return tuple(
        source(path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix())
        for path in paths
    )
