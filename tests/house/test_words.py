"""Code uses the words of the field: no private metaphors in names, docstrings and texts."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

import pytest

from tests.house.sources import OTHERS, PRODUCT, Function, Source, source, sources

WORDS = {
    "bell": "message, wake-up",
    "doorbell": "wake-ups",
    "errand": "background task",
    "keeper": "checkpoints",
    "courier": "webhook sender",
    "story": "progress",
    "stretch": "row range, reader",
    "beside": "stacked, next to",
    "told": "logged, sent, reported",
    "wish": "request",
    "wished": "requested",
    "vitals": "system metrics",
}
"""Words that nobody knows from the field, and what to write instead."""

NAMES = {
    "said": "what it holds: lines, output, message",
    "heard": "received",
    "found": "what it holds: row, matches, rows",
    "one": "what it holds: job, row, path",
}
"""Words that are fine in a sentence, not as a name: they do not say what it holds."""

PHRASES = (
    "in vain",
    "to be had",
    "by chance",
    "is no number",
    "whoever",
    "whyever",
)
"""Literary turns: write subject, verb, object."""

CHECKED = (*PRODUCT, *OTHERS)
"""The folders whose Python files are checked, except this file."""

NAMED = (
    *PRODUCT,
    *("benchmarks", "deploy", "docs", "examples"),
    *("tests/faults", "tests/house", "tests/support"),
)
"""The folders in which names also have to say what they hold."""

STORED = {"told_at", "epochs_told"}
"""Names that clients or tables know, so that they stay."""

PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
TEXTS = re.compile(
    rf"\b({'|'.join([*(rf'{word}(?:s|es)?' for word in WORDS), *PHRASES])})\b", re.IGNORECASE
)


def names(file: Source) -> Iterator[tuple[int, str]]:
    """What a file names, by line: itself, its classes, functions, parameters and variables."""
    for part in PurePosixPath(file.name).with_suffix("").parts:
        yield 1, part
    for node in ast.walk(file.tree):
        if isinstance(node, ast.ClassDef | Function):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr


def wrong_names(file: Source) -> Iterator[str]:
    """Names with a word that is not of the field, or that say nothing."""
    for line, name in sorted(set(names(file))):
        if name in STORED:
            continue
        parts = [part.lower() for part in PARTS.findall(name)]
        for word in parts:
            singular = next((it for it in (word, word[:-1], word[:-2]) if it in WORDS), None)
            if singular:
                yield f"line {line}: {name}: instead of {singular} write {WORDS[singular]}"
        if name.strip("_") in NAMES and file.name.startswith(NAMED):
            yield f"line {line}: {name}: say {NAMES[name.strip('_')]}"


def wrong_texts(file: Source) -> Iterator[str]:
    """Words and phrases of that kind in docstrings, comments, messages and help texts."""
    for number, line in enumerate(file.text.splitlines(), 1):
        for match in TEXTS.finditer(line):
            yield f"line {number}: {match[1]}: {line.strip()}"


@pytest.mark.parametrize("rule", [wrong_names, wrong_texts])
def test_code_uses_the_words_of_the_field(rule: Callable[[Source], Iterator[str]]) -> None:
    offences = [
        f"{file.name}: {text}"
        for file in sources(*CHECKED)
        if file.name != "tests/house/test_words.py"
        for text in rule(file)
    ]
    assert not offences, "\n" + "\n".join(offences)


def test_every_stored_name_exists() -> None:
    assert {name for file in sources(*PRODUCT) for _, name in names(file)} >= STORED


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("told_first = 1\n", 1),
        ("class Doorbells: ...\n", 1),
        ("def ring(bell): ...\n", 1),
        ("found = [one for one in rows]\n", 2),
        ("not_found = label = bellman = 1\n", 0),
    ],
)
def test_wrong_names_are_reported(text: str, count: int) -> None:
    assert len(list(wrong_names(source(text)))) == count


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("# What the server was told in vain.\n", 2),
        ("# A sentence may say what was found.\n", 0),
        ("# Wishes.\n", 1),
    ],
)
def test_wrong_texts_are_reported(text: str, count: int) -> None:
    assert len(list(wrong_texts(source(text)))) == count
