"""`chainrule up`: run the whole stack on this machine."""

import os
import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from chainrule.cli.commands.server.background import DETACH, start_detached
from chainrule.stack import StackError, logs
from chainrule.stack.options import Options, mlflow_token
from chainrule.stack.process import hide_memory
from chainrule.stack.stack import Stack

_WATCH_SECONDS = 1.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def install(app: typer.Typer) -> None:
    """Register the commands of this module."""
    app.command("up")(up)


def up(
    data_dir: Annotated[
        Path, typer.Option(envvar="CHAINRULE_DATA_DIR", help="Folder for all files.")
    ] = Path(".chainrule"),
    port: Annotated[
        int, typer.Option(envvar="CHAINRULE_PORT", min=0, max=65535, help="Port of the api; 0: any")
    ] = 8000,
    mlflow_port: Annotated[
        int,
        typer.Option(
            envvar="CHAINRULE_MLFLOW_PORT", min=0, max=65535, help="Port of MLflow; 0: any"
        ),
    ] = 5000,
    workers: Annotated[
        int, typer.Option(envvar="CHAINRULE_WORKERS", min=0, max=256, help="Number of workers.")
    ] = 1,
    host: Annotated[
        str, typer.Option(envvar="CHAINRULE_HOST", help="Address on which the api listens.")
    ] = "127.0.0.1",
    mlflow_host: Annotated[
        str, typer.Option(envvar="CHAINRULE_MLFLOW_HOST", help="Address on which MLflow listens.")
    ] = "127.0.0.1",
    detach: Annotated[
        bool, typer.Option(*DETACH, help="Return when it is ready; it runs on. See `down`.")
    ] = False,
    database_url: Annotated[
        str, typer.Option(envvar="CHAINRULE_DATABASE_URL", help="PostgreSQL instead of SQLite.",
                          show_envvar=True, metavar="URL", show_default=False)
    ] = "",
    broker_url: Annotated[
        str, typer.Option(envvar="CHAINRULE_BROKER_URL", help="Redis instead of an embedded one.",
                          metavar="URL", show_default=False)
    ] = "",
    store_url: Annotated[
        str, typer.Option(envvar="CHAINRULE_STORE_URL", help="S3, for example, not local files.",
                          metavar="URL", show_default=False)
    ] = "",
    mlflow_url: Annotated[
        str, typer.Option(envvar="CHAINRULE_MLFLOW_URL", help="An MLflow server that is running.",
                          metavar="URL", show_default=False)
    ] = "",
) -> None:  # fmt: skip
    """Start the whole stack on this machine, until Ctrl-C.

    The stack is the api, workers, scheduler, broker, MLflow and database. All files are in the data
    folder. A job that is running when you stop continues at the next start.

    [dim]chainrule up --workers 2 --port 8001[/]

    [dim]chainrule up --detach && chainrule status && chainrule down[/]
    """
    hide_memory()
    options = Options(
        data_dir, host, port, mlflow_port, workers, database_url, broker_url, store_url, mlflow_url,
        mlflow_host,
    )  # fmt: skip
    if detach:
        options.require_token(os.environ)
        start_detached(data_dir)
        return
    printer = logs.to_terminal()
    stack = Stack(options, printer, progress=lambda what: printer.say("chainrule", what))
    ending = _on_signals(stack)
    try:
        with stack:
            _stay(stack, printer, ending)
            printer.say("chainrule", "ending; workers save what they are doing")
    except StackError:
        # A signal while the stack starts is not an error.
        if not ending.is_set():
            raise
    printer.say("chainrule", "ended; nothing is left running")


def _on_signals(stack: Stack) -> threading.Event:
    """Stop in order at the first signal, by force at the second."""
    ending = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        if ending.is_set():
            stack.hurry()
        stack.cancel()
        ending.set()

    for name in _SIGNALS:
        signal.signal(name, end)
    return ending


def _stay(stack: Stack, printer: logs.Logs, ending: threading.Event) -> None:
    addresses = stack.addresses
    printer.say("chainrule", "ready")
    printer.say("chainrule", f"  api      {addresses.api_url}")
    printer.say("chainrule", f"  docs     {addresses.api_url}/docs")
    printer.say("chainrule", f"  MLflow   {addresses.mlflow_public_url}  (coming up)")
    if mlflow_token():
        printer.say("chainrule", "  MLflow asks for any name, and for the token as the password")
    printer.say("chainrule", "Ctrl-C ends everything")
    answered = False
    while not ending.wait(_WATCH_SECONDS):
        if not answered and stack.mlflow_answers():
            answered = True
            printer.say("chainrule", f"MLflow is up: {addresses.mlflow_public_url}")
        stack.watch_disk()
