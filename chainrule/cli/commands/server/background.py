"""`chainrule up --detach`, `chainrule down` and `chainrule status`: a stack in the background."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from chainrule.cli import views
from chainrule.cli.options import URL, Json, Token, Url, client
from chainrule.client.transport import Document
from chainrule.stack import StackError
from chainrule.stack.folder import LOG, holder
from chainrule.stack.stack import read_state
from chainrule.stack.temporary import DATA_DIR

DETACH = ("--detach", "-d")
_END_SECONDS = 60.0
_PAUSE_SECONDS = 0.1
_LAST_LINES = 8

DataDir = Annotated[
    Path, typer.Option(envvar="CHAINRULE_DATA_DIR", help="Data folder of the stack.")
]


def install(app: typer.Typer) -> None:
    """Register the commands of this module."""
    app.command("down")(down)
    app.command("status")(status)


def start_detached(data_dir: Path) -> None:
    """Repeat this command in the background, and wait until its stack is ready.

    Raises StackError with the last lines of its log if it does not start, OSError if there can be
    no log.
    """
    if (pid := holder(data_dir)) is not None:
        raise StackError(f"process {pid} already runs a stack in {data_dir}: chainrule down")
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    words = [word for word in sys.argv[1:] if word not in DETACH]
    with (data_dir / LOG).open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "chainrule.cli", *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        state = _await(process, data_dir)
    except BaseException:
        process.terminate()
        raise
    views.facts(
        (
            ("api", state["api_url"]),
            ("docs", f"{state['api_url']}/docs"),
            ("MLflow", f"{state['mlflow_url']}  (coming up)"),
            ("log", str(data_dir / LOG)),
        )
    )
    views.CONSOLE.print("[dim]stop it: chainrule down[/]")


def _await(process: "subprocess.Popen[bytes]", data_dir: Path) -> Document:
    """Return the state of a stack when it is ready. Raises StackError if its process ends."""
    while True:
        state = read_state(data_dir)
        if state is not None and state["pid"] == process.pid:
            return state
        if process.poll() is not None:
            lines = (data_dir / LOG).read_text(errors="replace").splitlines()[-_LAST_LINES:]
            raise StackError("the stack did not start:\n" + "\n".join(lines))
        time.sleep(_PAUSE_SECONDS)


def down(data_dir: DataDir = DATA_DIR) -> None:
    """Stop the stack that runs in a data folder. Running jobs save a checkpoint and continue later.

    [dim]chainrule down[/]
    """
    pid = holder(data_dir)
    if pid is None:
        views.CONSOLE.print(f"no stack runs in {data_dir}", soft_wrap=True)
        return
    os.kill(pid, signal.SIGTERM)
    give_up_at = time.monotonic() + _END_SECONDS
    while holder(data_dir) == pid:
        if time.monotonic() > give_up_at:
            raise StackError(
                f"process {pid} has not ended after {_END_SECONDS:g} s: repeat the command to wait "
                "longer, or end it with `kill -TERM` a second time"
            )
        time.sleep(_PAUSE_SECONDS)
    views.CONSOLE.print(f"[green]stopped[/] the stack in {data_dir}", soft_wrap=True)


def status(
    data_dir: DataDir = DATA_DIR, url: Url = URL, token: Token = "", as_json: Json = False
) -> None:
    """Show whether a server is ready, what it depends on, its workers, and the stack's log.

    Exit code 1 if no server answers or it is not ready.

    [dim]chainrule status[/]
    """
    state = read_state(data_dir) if holder(data_dir) is not None else None
    with client(url, token) as server:
        ready = server.ready()
        nodes = list(server.nodes())
    alive = [node for node in nodes if node["alive"]]
    if as_json:
        views.print_json({**ready, "url": server.url, "nodes_alive": len(alive), "stack": state})
        return
    log = data_dir / LOG
    views.facts(
        (
            ("server", server.url),
            ("status", ready["status"]),
            *((name, text) for name, text in ready["dependencies"].items()),
            ("nodes", f"{len(alive)} with live workers" if alive else "none has a live worker"),
            ("stack", f"process {state['pid']} in {data_dir}" if state else ""),
            ("MLflow", state["mlflow_url"] if state else ""),
            ("log", str(log) if state and log.exists() else ""),
        )
    )
