"""The house rules that a parser can see: size, names, imports, docstrings."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("api", "worker", "core", "chainrule", "migrations")
BANNED_NAMES = {"utils", "util", "helpers", "common", "misc", "services", "repositories"}
FILE_LINES = 400
FUNCTION_LINES = 50
# Alembic gives revisions their shape: an upgrade may list many columns, names carry a number.
REVISIONS = ROOT / "migrations" / "versions"

# Methods that libraries describe and ours override.
OUTSIDE = {"TypeDecorator": frozenset({"process_bind_param", "process_result_value"})}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def source_files(*folders: str) -> list[Path]:
    """All Python files below the folders, in one order on every machine."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def wrong_size(path: Path, tree: ast.Module) -> Iterator[str]:
    """Files and functions too long to read at one sitting."""
    lines = len(path.read_text().splitlines())
    if lines >= FILE_LINES:
        yield f"has {lines} lines; under {FILE_LINES} please"
    if REVISIONS in path.parents:
        return
    for node in ast.walk(tree):
        if isinstance(node, Function):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            # The statements: parameters with their help and a long docstring are no complication.
            length = (node.end_lineno or 0) - body[0].lineno + 1 if body else 0
            if length >= FUNCTION_LINES:
                yield f"line {node.lineno}: {node.name} has {length} lines"


def wrong_name(path: Path, tree: ast.Module) -> Iterator[str]:
    """Module names that say nothing about what is inside."""
    for part in path.relative_to(ROOT).with_suffix("").parts:
        if part.strip("_") in BANNED_NAMES:
            yield f"{part} says nothing: name it after the one idea inside"


def wrong_import(path: Path, tree: ast.Module) -> Iterator[str]:
    """Imports that hide: inside functions, behind TYPE_CHECKING, by a star."""
    for function in ast.walk(tree):
        if isinstance(function, Function):
            for node in ast.walk(function):
                if isinstance(node, ast.Import | ast.ImportFrom) and not _allowed(path, node):
                    yield f"line {node.lineno}: import inside {function.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == "TYPE_CHECKING":
            yield f"line {node.lineno}: TYPE_CHECKING hides a cycle"
        if isinstance(node, ast.ImportFrom) and any(name.name == "*" for name in node.names):
            yield f"line {node.lineno}: import *"


def _allowed(path: Path, node: ast.stmt) -> bool:
    """An optional accelerator may be imported late, behind its one seam."""
    return path.relative_to(ROOT).as_posix() in {"core/nn/array.py"}


def missing_docstring(path: Path, tree: ast.Module) -> Iterator[str]:
    """Modules, public classes, functions and methods explain themselves; overrides need not."""
    if not ast.get_docstring(tree):
        yield "has no module docstring"
    for node in tree.body:
        if isinstance(node, ast.ClassDef | Function) and not node.name.startswith("_"):
            if not ast.get_docstring(node):
                yield f"line {node.lineno}: {node.name} has no docstring"
            if isinstance(node, ast.ClassDef):
                yield from _undocumented_methods(node)


def _undocumented_methods(one: ast.ClassDef) -> Iterator[str]:
    for node in one.body:
        if not isinstance(node, Function) or node.name.startswith("_") or ast.get_docstring(node):
            continue
        if any(isinstance(d, ast.Attribute) and d.attr == "setter" for d in node.decorator_list):
            continue  # the property it sets is explained at its getter
        if not any(node.name in explained(base) for base in _base_names(one)):
            yield f"line {node.lineno}: {one.name}.{node.name} has no docstring"


def _base_names(one: ast.ClassDef) -> list[str]:
    bases = [base.value if isinstance(base, ast.Subscript) else base for base in one.bases]
    return [str(getattr(base, "id", getattr(base, "attr", ""))) for base in bases]


@cache
def _classes() -> dict[str, ast.ClassDef]:
    trees = [ast.parse(path.read_text()) for path in source_files(*PACKAGES)]
    nodes = (node for tree in trees for node in tree.body)
    return {node.name: node for node in nodes if isinstance(node, ast.ClassDef)}


@cache
def explained(name: str) -> frozenset[str]:
    """The methods that class `name` or a class above it describes."""
    one = _classes().get(name)
    if one is None:
        return OUTSIDE.get(name, frozenset())
    own = {node.name for node in one.body if isinstance(node, Function) and ast.get_docstring(node)}
    return frozenset(own.union(*(explained(base) for base in _base_names(one) if base != name)))


RULES = [wrong_size, wrong_name, wrong_import, missing_docstring]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_product_keeps_the_rule(rule):
    files = source_files(*PACKAGES)
    found = [
        f"{path.relative_to(ROOT)}: {complaint}"
        for path in files
        for complaint in rule(path, ast.parse(path.read_text()))
    ]
    assert files
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize("rule", [wrong_size, wrong_name, wrong_import])
def test_tests_and_benchmarks_keep_the_rule(rule):
    found = [
        f"{path.relative_to(ROOT)}: {complaint}"
        for path in source_files("tests", "benchmarks", "deploy", "docs", "examples")
        if not (rule is wrong_import and path.is_relative_to(ROOT / "benchmarks"))
        for complaint in rule(path, ast.parse(path.read_text()))
    ]
    assert not found, "\n" + "\n".join(found)


CASES = {
    wrong_size: "def long():\n" + "    pass\n" * FUNCTION_LINES,
    wrong_import: "def late():\n    import json\n",
    missing_docstring: '"""Module."""\n\ndef bare():\n    return 1\n',
}


@pytest.mark.parametrize("rule", CASES, ids=lambda rule: rule.__name__)
def test_a_rule_notices_an_offence(rule, tmp_path):
    path = ROOT / "core" / "offence.py" if rule is wrong_import else tmp_path / "offence.py"
    if rule is wrong_size:
        path.write_text(CASES[rule])
    assert list(rule(path, ast.parse(CASES[rule])))


def test_a_banned_name_is_noticed():
    assert list(wrong_name(ROOT / "core" / "utils.py", ast.parse("")))
    assert not list(wrong_name(ROOT / "core" / "status.py", ast.parse("")))
