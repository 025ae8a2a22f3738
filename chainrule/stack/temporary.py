"""A stack for the time of one command, at an address where no server answers."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

from chainrule.client import Client
from chainrule.client.problem import AbsentServerError, ProblemError
from chainrule.stack import StackError
from chainrule.stack.logs import Logs
from chainrule.stack.options import LOOPBACK, Options
from chainrule.stack.stack import Stack

DATA_DIR = Path(".chainrule")
"""The data folder of `chainrule up`, unless CHAINRULE_DATA_DIR names another."""

WORKER_SECONDS = 60.0
HTTP_PORT = 80


def data_folder() -> Path:
    """Return the data folder that `chainrule up` uses without options."""
    return Path(os.environ.get("CHAINRULE_DATA_DIR") or DATA_DIR)


@contextmanager
def serving(
    server: Client,
    data_dir: Path,
    on_start: Callable[[Stack], None] = lambda _: None,
) -> Iterator[Stack | None]:
    """Run a stack at the address of `server` if nothing listens there.

    Yields the stack, or None if a server answers; the stack ends with the context. Its files stay
    in `data_dir`. `on_start` gets the stack before it starts. Raises UnreachableError for an
    address of another machine, StackError if the stack does not start.
    """
    try:
        _ask(server)
    except AbsentServerError:
        if not _is_local(server.url):
            raise
    else:
        yield None
        return
    stack = Stack(_options(server.url, data_dir), Logs())
    on_start(stack)
    with stack:
        await_worker(server, stack)
        yield stack


def await_worker(server: Client, stack: Stack) -> None:
    """Wait until a worker of the stack lives. Raises StackError if none starts."""
    give_up_at = time.monotonic() + WORKER_SECONDS
    while not any(node["alive"] for node in server.nodes()):
        stack.refuse_failing("worker")
        stack.refuse_failing("scheduler")
        if time.monotonic() > give_up_at:
            raise StackError(f"no worker after {WORKER_SECONDS:g} s\n{stack.last_lines('worker')}")
        time.sleep(0.1)


def end_on_signal(stack: Stack) -> None:
    """Stop the stack in order at the first signal, by force at the second."""
    received: list[int] = []

    def end(number: int, _frame: FrameType | None) -> Any:
        if received or stack.closing:
            stack.hurry()
            return
        received.append(number)
        raise SystemExit(128 + number)

    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, end)


def _ask(server: Client) -> None:
    """Ask the server for its state. Raises UnreachableError if none answers."""
    try:
        server.ready()
    except ProblemError:
        return  # it answers, but lacks something or wants a token: the first request says what


def _is_local(url: str) -> bool:
    """Whether a stack on this machine can have this address."""
    address = urlsplit(url)
    return address.scheme == "http" and address.hostname in LOOPBACK


def _options(url: str, data_dir: Path) -> Options:
    """The options of a stack at `url`, with the servers that `chainrule up` would use."""
    address = urlsplit(url)
    host = address.hostname or ""
    return Options(
        data_dir,
        "127.0.0.1" if host == "localhost" else host,
        address.port or HTTP_PORT,
        mlflow_port=0,
        database_url=os.environ.get("CHAINRULE_DATABASE_URL", ""),
        broker_url=os.environ.get("CHAINRULE_BROKER_URL", ""),
        store_url=os.environ.get("CHAINRULE_STORE_URL", ""),
        mlflow_url=os.environ.get("CHAINRULE_MLFLOW_URL", ""),
    )
