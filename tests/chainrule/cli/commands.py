"""Commands that run in the process of a test, and the server that they reach."""

import contextlib
import io
import sys
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from chainrule.cli.app import main


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    output: str
    error: str


def run(*words: str) -> Ended:
    """Run a command in this process. What is not caught there fails the test."""
    output, error = io.StringIO(), io.StringIO()
    arguments, stdin = sys.argv, sys.stdin
    sys.argv = ["chainrule", *words]
    sys.stdin = io.TextIOWrapper(io.BytesIO(b"\xff\xfe nothing"), encoding="utf-8")
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(error):
            try:
                code = main()
            except SystemExit as ended:
                code = int(ended.code or 0)
    finally:
        sys.argv, sys.stdin = arguments, stdin
    return Ended(code, output.getvalue(), error.getvalue())


def use(monkeypatch: pytest.MonkeyPatch, server: httpx.BaseTransport) -> None:
    """Let the client reach this server at every address."""
    connect = httpx.Client

    def connected(**options: Any) -> httpx.Client:
        return connect(**{**options, "transport": server})

    monkeypatch.setattr(httpx, "Client", connected)
