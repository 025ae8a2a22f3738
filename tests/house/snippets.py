"""The fenced blocks of README and docs, and the shell commands in them."""

import re
import shlex
from typing import NamedTuple

from markdown_it import MarkdownIt

from docs.staging import ROOT, pages

PAGES = pages()
SHELL = {"sh", "shell", "bash", "console"}


class Snippet(NamedTuple):
    """A fenced block: where it stands, in which language, its text."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def snippets(*languages: str) -> list[Snippet]:
    """All fenced blocks in one of the languages."""
    blocks = []
    for page in PAGES:
        for token in MarkdownIt().parse(page.read_text()):
            if token.type == "fence":
                language = token.info.split()[0] if token.info else ""
                line = token.map[0] + 1 if token.map else 0
                place = page.relative_to(ROOT).as_posix()
                blocks.append(Snippet(place, line, language, token.content))
    return [block for block in blocks if block.language in languages]


def commands(text: str) -> list[list[str]]:
    """The simple commands of a shell text, each as words; continued lines are joined."""
    joined = text.replace("\\\n", " ")
    simple = []
    for line in re.split(r"\n|&&|\|", joined):
        words = shlex.split(line.replace("$ ", "", 1), comments=True) if _balanced(line) else []
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            words = words[1:]
        if words:
            simple.append(words)
    return simple


def _balanced(line: str) -> bool:
    try:
        shlex.split(line, comments=True)
    except ValueError:
        return False
    return True
