"""The house rules that a parser can check: sizes, names, imports, docstrings."""

import ast
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import PurePosixPath

import pytest

from tests.house.sources import OTHERS, PRODUCT, Function, Source, source, sources

BANNED_NAMES = {"utils", "util", "helpers", "common", "misc", "services", "repositories"}
FILE_LINES = 400
FUNCTION_LINES = 50
# Alembic decides the form of revisions: an upgrade may list many columns.
REVISIONS = "migrations/versions/"

LATE_IMPORTS = {
    ("core/nn/array.py", "namespace"): "CuPy is optional and only needed on a GPU",
    ("core/nn/compile/kernels.py", "_library"): "loading LLVM takes longer than a small job",
    ("core/family.py", "load"): "the modules of a family are found by listing its folder",
    ("chainrule/__init__.py", "__getattr__"): "the command line starts without loading NumPy",
    ("chainrule/client/frames.py", "_pandas"): "only who asks for a DataFrame needs pandas",
    (
        "chainrule/contract/secrets.py",
        "_detectors",
    ): "the command line starts without loading the detectors",
    ("core/sweeps/results.py", "plot"): "api and scheduler start without SciPy and scikit-learn",
    ("chainrule/cli/curves.py", "_plot"): "the command line starts without loading plotext",
}
"""The functions that import a module by name, each with the reason."""

# Methods that a library documents and that our classes override.
OUTSIDE = {"TypeDecorator": frozenset({"process_bind_param", "process_result_value"})}

Rule = Callable[[Source], Iterator[str]]


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """All functions and methods below a node."""
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def wrong_size(file: Source) -> Iterator[str]:
    """Files and functions that are too long to read in one sitting."""
    lines = len(file.text.splitlines())
    if lines >= FILE_LINES:
        yield f"has {lines} lines, the limit is {FILE_LINES}"
    if file.name.startswith(REVISIONS):
        return
    for node in functions(file.tree):
        # Only statements count: parameters with help texts and docstrings are no complication.
        body = node.body[1:] if ast.get_docstring(node) else node.body
        length = (node.end_lineno or 0) - body[0].lineno + 1 if body else 0
        if length >= FUNCTION_LINES:
            yield f"line {node.lineno}: {node.name} has {length} lines"


def wrong_name(file: Source) -> Iterator[str]:
    """Module and folder names that do not say what is inside."""
    for part in PurePosixPath(file.name).with_suffix("").parts:
        if part.strip("_") in BANNED_NAMES:
            yield f"{part} says nothing: name it after the one idea inside"


def wrong_import(file: Source) -> Iterator[str]:
    """Hidden imports: inside functions, behind TYPE_CHECKING, by a star."""
    for function in functions(file.tree):
        for node in ast.walk(function):
            if isinstance(node, ast.Import | ast.ImportFrom):
                yield f"line {node.lineno}: import inside {function.name}"
            elif _imports_by_name(node) and (file.name, function.name) not in LATE_IMPORTS:
                yield f"line {function.lineno}: {function.name} imports a module by name"
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Name) and node.id == "TYPE_CHECKING":
            yield f"line {node.lineno}: TYPE_CHECKING hides a cycle"
        if isinstance(node, ast.ImportFrom) and any(name.name == "*" for name in node.names):
            yield f"line {node.lineno}: import *"


def _imports_by_name(node: ast.AST) -> bool:
    """Whether a node calls `importlib.import_module` or `__import__`."""
    if not isinstance(node, ast.Call):
        return False
    called = node.func
    return getattr(called, "attr", getattr(called, "id", "")) in {"import_module", "__import__"}


def missing_docstring(file: Source) -> Iterator[str]:
    """Modules, public classes, functions and methods without a docstring, overrides excepted."""
    if not ast.get_docstring(file.tree):
        yield "has no module docstring"
    for node in file.tree.body:
        if isinstance(node, ast.ClassDef | Function) and not node.name.startswith("_"):
            if not ast.get_docstring(node):
                yield f"line {node.lineno}: {node.name} has no docstring"
            if isinstance(node, ast.ClassDef):
                yield from _undocumented_methods(node)


def _undocumented_methods(owner: ast.ClassDef) -> Iterator[str]:
    for node in owner.body:
        if not isinstance(node, Function) or node.name.startswith("_") or ast.get_docstring(node):
            continue
        if any(isinstance(d, ast.Attribute) and d.attr == "setter" for d in node.decorator_list):
            continue  # The getter of the property has the docstring.
        if not any(node.name in explained(base) for base in _base_names(owner)):
            yield f"line {node.lineno}: {owner.name}.{node.name} has no docstring"


def _base_names(owner: ast.ClassDef) -> list[str]:
    bases = [base.value if isinstance(base, ast.Subscript) else base for base in owner.bases]
    return [str(getattr(base, "id", getattr(base, "attr", ""))) for base in bases]


@cache
def _classes() -> dict[str, ast.ClassDef]:
    nodes = (node for file in sources(*PRODUCT) for node in file.tree.body)
    return {node.name: node for node in nodes if isinstance(node, ast.ClassDef)}


@cache
def explained(name: str) -> frozenset[str]:
    """The methods that class `name` or one of its bases documents."""
    owner = _classes().get(name)
    if owner is None:
        return OUTSIDE.get(name, frozenset())
    own = {node.name for node in functions(owner) if ast.get_docstring(node)}
    bases = (base for base in _base_names(owner) if base != name)
    return frozenset(own.union(*(explained(base) for base in bases)))


RULES: list[Rule] = [wrong_size, wrong_name, wrong_import, missing_docstring]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_product_keeps_the_rule(rule: Rule) -> None:
    offences = [f"{file.name}: {text}" for file in sources(*PRODUCT) for text in rule(file)]
    assert not offences, "\n" + "\n".join(offences)


@pytest.mark.parametrize("rule", [wrong_size, wrong_name, wrong_import])
def test_tests_and_benchmarks_keep_the_rule(rule: Rule) -> None:
    offences = [
        f"{file.name}: {text}"
        for file in sources(*OTHERS)
        # Benchmarks load a peer only when it is compared with.
        if not (rule is wrong_import and file.name.startswith("benchmarks/"))
        for text in rule(file)
    ]
    assert not offences, "\n" + "\n".join(offences)


@pytest.mark.parametrize(("name", "function"), LATE_IMPORTS)
def test_each_late_import_exists(name: str, function: str) -> None:
    (file,) = (file for file in sources(*PRODUCT) if file.name == name)
    (node,) = (node for node in functions(file.tree) if node.name == function)
    assert any(map(_imports_by_name, ast.walk(node)))


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (wrong_size, "def long():\n" + "    pass\n" * FUNCTION_LINES),
        (wrong_size, "\n" * FILE_LINES),
        (wrong_import, "def late():\n    import json\n"),
        (wrong_import, "def late():\n    return importlib.import_module('json')\n"),
        (wrong_import, "from json import *\n"),
        (missing_docstring, '"""Module."""\n\ndef bare():\n    return 1\n'),
    ],
)
def test_a_rule_reports_an_offence(rule: Rule, text: str) -> None:
    assert list(rule(source(text)))


def test_a_banned_name_is_reported() -> None:
    assert list(wrong_name(source("", "core/utils.py")))
    assert not list(wrong_name(source("", "core/status.py")))
