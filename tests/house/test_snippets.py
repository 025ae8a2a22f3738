"""What README and docs tell people to type, paste or read is well formed and exists."""

import ast
import json
import re
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from docs.staging import ROOT
from tests.house.snippets import PAGES, SHELL, Snippet, commands, snippets


def make_targets() -> set[str]:
    """What `make` can make."""
    text = (ROOT / "Makefile").read_text()
    return set(re.findall(r"^([a-z][a-z-]*):", text, flags=re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_fence_says_its_language(page: Path) -> None:
    fences = [token for token in MarkdownIt().parse(page.read_text()) if token.type == "fence"]
    known = {*SHELL, "python", "json", "text", "sql", "yaml", "toml", "mermaid"}
    assert not [token.map for token in fences if token.info.split()[:1] not in [[k] for k in known]]


def test_json_parses() -> None:
    for snippet in snippets("json"):
        json.loads(snippet.text)


@pytest.mark.parametrize("snippet", snippets("python"), ids=str)
def test_python_parses_and_imports_what_exists(snippet: Snippet) -> None:
    for node in ast.walk(ast.parse(snippet.text)):
        if isinstance(node, ast.ImportFrom):
            assert node.module
            assert find_spec(node.module)
        elif isinstance(node, ast.Import):
            assert all(find_spec(name.name) for name in node.names)


@pytest.mark.parametrize("snippet", snippets(*SHELL), ids=str)
def test_shell_parses(snippet: Snippet) -> None:
    checked = subprocess.run(["bash", "-n"], input=snippet.text, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("snippet", snippets(*SHELL), ids=str)
def test_shell_names_what_exists(snippet: Snippet) -> None:
    for words in commands(snippet.text):
        if words[0] == "make":
            asked = [word for word in words[1:] if "=" not in word and not word.startswith("-")]
            assert set(asked) <= make_targets()
        elif words[:2] in (["python", "-m"], ["python3", "-m"]):
            assert find_spec(words[2])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_relative_links_lead_somewhere(page: Path) -> None:
    for token in MarkdownIt().parse(page.read_text()):
        for child in token.children or []:
            target = str(child.attrGet("href") or child.attrGet("src") or "")
            if target and "://" not in target and not target.startswith(("#", "mailto:")):
                assert (page.parent / target.partition("#")[0]).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_tests_that_a_page_names_exist(page: Path) -> None:
    for name in re.findall(r"`(tests/[\w/]+\.py)`", page.read_text()):
        assert (ROOT / name).is_file(), name


def test_commands_are_cut_into_words() -> None:
    assert commands("A=1 make up ARGS='--port 1' # stay\ncurl -s \\\n x | head") == [
        ["make", "up", "ARGS=--port 1"],
        ["curl", "-s", "x"],
        ["head"],
    ]
