"""The walks that ARCHITECTURE.md draws exist, lead from file to file, and stay short."""

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.house.sources import PRODUCT, ROOT, Function, Source, source, sources

MOST_FILES = {"A batch": 15, "A hyperparameter": 20, "A sweep": 12, "A metric point": 10}
"""How many files each walk may open, by the first words of its heading."""

WALKS = re.compile(r"^### (?P<title>.+)\n\n```text\n(?P<steps>(?:.+\n)+?)```$", re.MULTILINE)
STEP = re.compile(r"(?P<arrow>->|=>|  ) (?P<file>\S+\.py): (?P<name>[\w.]+)")


class Step(NamedTuple):
    """One line of a walk: what it opens, and whether a process or a table lies before it."""

    file: str
    name: str
    crosses: bool


def walks() -> dict[str, list[Step]]:
    """The walks of ARCHITECTURE.md by their headings."""
    section = (ROOT / "ARCHITECTURE.md").read_text().partition("\n## Four walks\n")[2]
    section = section.partition("\n## ")[0]
    return {walk["title"]: steps(walk["steps"]) for walk in WALKS.finditer(section)}


def steps(text: str) -> list[Step]:
    """The lines of a walk. Raises ValueError for one that is no step."""
    parsed = []
    for line in text.splitlines():
        step = STEP.match(line)
        if step is None:
            raise ValueError(f"not `-> file.py: function`: {line}")
        parsed.append(Step(step["file"], step["name"], step["arrow"] == "=>"))
    return parsed


def defined(tree: ast.Module, name: str) -> bool:
    """Whether a file defines a function, a class or `Class.method` of this name."""
    body: list[ast.stmt] = tree.body
    for part in name.split("."):
        nodes = (node for node in body if isinstance(node, ast.ClassDef | Function))
        node = next((node for node in nodes if node.name == part), None)
        if node is None:
            return False
        body = node.body
    return True


def imported(file: Source) -> set[str]:
    """The modules and packages that a file imports, by dotted name."""
    names = set()
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def reaches(importer: Source, other: Source) -> bool:
    """Whether `importer` imports `other`: itself, or a package that lets others use it."""
    packages = other.module.split(".")
    # `core.jobs` stands for what is inside, `core` and `worker` for nothing in particular.
    within = {".".join(packages[:count]) for count in range(2, len(packages) + 1)}
    return not within.isdisjoint(imported(importer))


def gaps(walk: list[Step], files: dict[str, Source]) -> Iterator[str]:
    """The steps that no step before them leads to."""
    for place, step in enumerate(walk[1:], 1):
        here, before = files[step.file], [files[earlier.file] for earlier in walk[:place]]
        linked = any(reaches(file, here) or reaches(here, file) for file in before)
        if not (step.crosses or linked or here in before):
            yield f"nothing before {step.file} imports it, nor does it import anything before"


@pytest.fixture(scope="module")
def files() -> dict[str, Source]:
    """The files of the product by name."""
    return {file.name: file for file in sources(*PRODUCT)}


def test_there_are_four_walks() -> None:
    assert [title.partition(",")[0] for title in walks()] == list(MOST_FILES)


@pytest.mark.parametrize("title", walks())
def test_each_step_exists(title: str, files: dict[str, Source]) -> None:
    missing = [
        f"{step.file}: {step.name}"
        for step in walks()[title]
        if step.file not in files or not defined(files[step.file].tree, step.name)
    ]
    assert not missing, "\n" + "\n".join(missing)


@pytest.mark.parametrize("title", walks())
def test_each_step_leads_to_the_next(title: str, files: dict[str, Source]) -> None:
    known = [step for step in walks()[title] if step.file in files]
    assert list(gaps(known, files)) == []


@pytest.mark.parametrize("title", walks())
def test_a_walk_is_short(title: str) -> None:
    opened = {step.file for step in walks()[title]}
    assert len(opened) <= MOST_FILES[title.partition(",")[0]]


def test_lines_are_parsed() -> None:
    assert steps("   a.py: f\n-> b/c.py: C.g      why\n=> d.py: h\n") == [
        Step("a.py", "f", False),
        Step("b/c.py", "C.g", False),
        Step("d.py", "h", True),
    ]
    with pytest.raises(ValueError, match="a sentence"):
        steps("a sentence\n")


def test_a_gap_is_reported() -> None:
    given = {
        "core/a.py": source("from core import b\n", "core/a.py"),
        "core/b.py": source("class B:\n    def go(self): ...\n", "core/b.py"),
        "core/c.py": source("", "core/c.py"),
    }
    assert defined(given["core/b.py"].tree, "B.go")
    assert not defined(given["core/b.py"].tree, "B.stop")
    walk = steps("   core/a.py: f\n-> core/b.py: B.go\n-> core/c.py: h\n")
    assert len(list(gaps(walk, given))) == 1
    assert list(gaps(steps("   core/a.py: f\n=> core/c.py: h\n"), given)) == []
