"""All of Chainrule on one machine: broker, database, MLflow, api, scheduler and workers."""

import json
import os
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import httpx

from chainrule.stack import StackError, broker, mlflow, ports, require_server
from chainrule.stack.folder import SCARCE_BYTES, Folder
from chainrule.stack.logs import Logs
from chainrule.stack.options import (
    TEMPORARY,
    Addresses,
    Options,
    address,
    chainrule_env,
    foreign_env,
    mlflow_token,
)
from chainrule.stack.process import Command
from chainrule.stack.supervisor import Supervisor, describe

START_SECONDS = 90.0
MIGRATION_SECONDS = 120.0
ENDS_AT_START = 3
STATE = "up.json"
"""File in the data folder with the addresses of a running stack."""

_POLL_SECONDS = 0.1
_READS = r'"GET [^"]*" [23]\d\d'
"""Log lines of read requests: `chainrule watch` alone would fill the screen with them."""


def read_state(data_dir: Path) -> dict[str, Any] | None:
    """Return `pid`, `api_url` and `mlflow_url` of the last ready stack in a data folder, or None.

    The file of a stack that was killed stays: `holder` says whether one runs.
    """
    try:
        state = json.loads((data_dir / STATE).read_text())
    except (OSError, ValueError):
        return None
    return state if isinstance(state, dict) else None


class Stack:
    """All processes as one context: entered when the api answers, left when all have stopped.

    Nothing waits for MLflow, which starts in the background. Raises StackError with a one-line
    reason if the stack cannot start, and MissingServerError if only the client is installed.
    """

    def __init__(
        self, options: Options, logs: Logs, *, progress: Callable[[str], None] = lambda _: None
    ) -> None:
        require_server("a server on this machine")
        options.require_token(os.environ)
        self.options, self.logs = options, logs
        self._progress = progress
        self._supervisor = Supervisor(logs.say, adopt=True)
        self._folder: Folder | None = None
        self._addresses: Addresses | None = None
        self.closing = False
        self._cancelled = False
        self._scarce = False

    @property
    def addresses(self) -> Addresses:
        """Addresses of the servers. Raises StackError before the start."""
        if self._addresses is None:
            raise StackError("the stack is not started")
        return self._addresses

    def start(self) -> None:
        """Start all processes, and return when the api answers. Call `close` in any case."""
        try:
            self._start()
        except (OSError, sqlite3.Error) as error:
            raise StackError(f"cannot start: {error}") from error

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop all processes and unlock the data folder."""
        self.closing = True
        self._supervisor.stop()
        if self._folder is not None:
            with suppress(OSError):
                (self._folder.path / STATE).unlink(missing_ok=True)
            self._folder.close()

    def cancel(self) -> None:
        """Stop the start soon. Safe in a signal handler."""
        self._cancelled = True

    def hurry(self) -> None:
        """Kill all processes. Safe in a signal handler."""
        self._cancelled = True
        self._supervisor.hurry()

    def pids(self) -> dict[str, int]:
        """Return the ids of the running processes, by name."""
        return self._supervisor.pids()

    def mlflow_answers(self) -> bool:
        """Return whether MLflow answers."""
        return mlflow.answers(self.addresses.mlflow_url)

    def watch_disk(self) -> None:
        """Print a line when the disk is nearly full, and one when it has space again."""
        assert self._folder is not None
        scarce = self._folder.free_bytes() < SCARCE_BYTES
        if scarce != self._scarce:
            self._scarce = scarce
            state = "is nearly full: jobs will fail to save" if scarce else "has space again"
            self.logs.say("chainrule", f"the disk of {self._folder.path} {state}")

    def _start(self) -> None:
        self._folder = Folder(self.options.data_dir, lambda text: self.logs.say("chainrule", text))
        folder = self._folder.path
        host, port = self.options.host, self.options.port
        port = ports.claim(host, port, "--port")
        embedded = None
        if not self.options.broker_url:
            embedded = broker.embedded(folder / "broker", foreign_env())
        mlflow_url = self.options.mlflow_url
        if not mlflow_url:
            mlflow_host = self.options.mlflow_host
            mlflow_port = ports.claim(mlflow_host, self.options.mlflow_port, "--mlflow-port")
            mlflow_url = address(mlflow_host, mlflow_port)
            # First, in the background: it takes longest.
            self._supervisor.add(
                mlflow.command(
                    folder / "mlflow",
                    mlflow_port,
                    foreign_env(),
                    mlflow_token(),
                    host=mlflow_host,
                )
            )
        public_url = os.environ.get("CHAINRULE_MLFLOW_PUBLIC_URL") or mlflow_url
        broker_url = embedded.url if embedded else self.options.broker_url
        self._addresses = Addresses(host, port, broker_url, mlflow_url, public_url)
        if embedded is not None:
            self._supervisor.add(embedded.command)
        self._supervisor.start()
        shutil.rmtree(folder / TEMPORARY, ignore_errors=True)
        (folder / TEMPORARY).mkdir()
        env = chainrule_env(self.options, self._addresses, folder)
        self._migrate(env)
        if embedded is not None:
            self._progress("waiting for the broker")
            self._await("broker", embedded.answers)
        for command in self._own(env):
            self._supervisor.add(command)
        self._progress("waiting for the api")
        self._await("api", self._api_answers)
        self._write_state(folder)

    def _own(self, env: dict[str, str]) -> list[Command]:
        count = self.options.workers
        names = ["worker"] if count == 1 else [f"worker.{number + 1}" for number in range(count)]
        return [
            Command("api", (sys.executable, "-m", "api"), env, grace_seconds=8, noise=_READS),
            Command("scheduler", (sys.executable, "-m", "worker.scheduler"), env),
            # A worker first saves a checkpoint and gives its job back.
            *(
                Command(name, (sys.executable, "-m", "worker"), env, grace_seconds=15)
                for name in names
            ),
        ]

    def _migrate(self, env: dict[str, str]) -> None:
        self._progress("preparing the database")
        # The supervisor collects all ended children, so this one too has to be its own.
        command = Command("database", (sys.executable, "-m", "migrations"), env, once=True)
        self._supervisor.add(command)
        give_up_at = time.monotonic() + MIGRATION_SECONDS
        while (code := self._supervisor.exit_code(command.name)) is None:
            self._refuse_cancelled()
            if time.monotonic() > give_up_at:
                raise StackError(f"the database is not ready after {MIGRATION_SECONDS:g} s")
            time.sleep(_POLL_SECONDS / 2)
        if code:
            lines = "\n".join(self.logs.tail("database")[-3:])
            raise StackError(f"the database cannot be used: {lines or describe(code)}")

    def _await(self, name: str, ready: Callable[[], bool]) -> None:
        give_up_at = time.monotonic() + START_SECONDS
        while not ready():
            self._refuse_cancelled()
            self.refuse_failing(name)
            if time.monotonic() > give_up_at:
                raise StackError(
                    f"the {name} does not answer after {START_SECONDS:g} s. "
                    f"Its last lines:\n{self.last_lines(name)}"
                )
            time.sleep(_POLL_SECONDS)

    def refuse_failing(self, name: str) -> None:
        """Raise StackError with the last lines of a process that ends repeatedly."""
        if self._supervisor.ends(name) >= ENDS_AT_START:
            raise StackError(f"the {name} does not start. Its last lines:\n{self.last_lines(name)}")

    def last_lines(self, name: str) -> str:
        """Return the last lines of a process, for an error."""
        return "\n".join(f"  {line}" for line in self.logs.tail(name)[-8:]) or "  nothing"

    def _refuse_cancelled(self) -> None:
        if self._cancelled:
            raise StackError("stopped while starting")

    def _api_answers(self) -> bool:
        try:
            return httpx.get(f"{self.addresses.api_url}/healthz", timeout=2).is_success
        except httpx.HTTPError:
            return False

    def _write_state(self, folder: Path) -> None:
        """Write the addresses to a file, for other programs."""
        state = {
            "pid": os.getpid(),
            "api_url": self.addresses.api_url,
            "mlflow_url": self.addresses.mlflow_public_url,
        }
        (folder / STATE).write_text(json.dumps(state) + "\n")
