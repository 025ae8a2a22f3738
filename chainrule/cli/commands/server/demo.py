"""`chainrule demo`: train once through the whole stack."""

import os
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from chainrule.cli import views
from chainrule.cli.progress import follow
from chainrule.demo.run import WANTED_ACCURACY, Outcome, demonstrate
from chainrule.demo.steps import Steps
from chainrule.stack import StackError
from chainrule.stack.logs import Logs
from chainrule.stack.options import Options
from chainrule.stack.stack import Stack
from chainrule.stack.temporary import end_on_signal

_PAUSE_SECONDS = 1.0


def install(app: typer.Typer) -> None:
    """Register the commands of this module."""
    app.command("demo")(demo)


def demo(
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print a summary as JSON; progress goes to standard error."),
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Also show the logs of the processes.")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep it running until Ctrl-C, to look at its pages.")
    ] = False,
) -> None:
    """Train a digit recogniser through the whole stack, then stop and clean up.

    The demo starts database, broker, MLflow, api, scheduler and worker on free ports in a temporary
    folder, uploads 1,797 images, trains, predicts held-out images, and stops everything.

    Exit code 0 if at least 97 % of the predictions are right.
    """
    steps = Steps(Console(stderr=as_json, highlight=False))
    _forget_settings()
    with tempfile.TemporaryDirectory(
        prefix="chainrule-demo-", ignore_cleanup_errors=True
    ) as folder:
        outcome = _run(Path(folder), steps, verbose, keep)
    seconds = {**steps.seconds, "total": steps.total()}
    if as_json:
        views.print_json(outcome.summary(seconds))
    else:
        _show(outcome, seconds)
        steps.console.print(
            "\nThe stack is stopped. To look at its pages: [bold]chainrule demo --keep[/]. "
            "Start one that stays with [bold]chainrule up[/]"
        )
    if not outcome.good:
        raise StackError(
            f"test accuracy {outcome.test_accuracy:.4f} is below {WANTED_ACCURACY}: "
            "please report it"
        )


def _run(folder: Path, steps: Steps, verbose: bool, keep: bool) -> Outcome:
    logs = Logs(sys.stderr if verbose else None)
    options = Options(data_dir=folder, port=0, mlflow_port=0)
    stack = Stack(options, logs, progress=steps.waiting)
    end_on_signal(stack)
    try:
        with steps.step("start", "starting database, broker, api, scheduler, worker, MLflow"):
            stack.start()
        outcome = demonstrate(stack, steps, follow)
        if keep:
            _stay(stack, outcome, steps)
    except BaseException:
        stack.close()
        raise
    with steps.step("stop", "ending every process"):
        # The folder is deleted, so nothing needs to be saved.
        stack.hurry()
        stack.close()
    return outcome


def _stay(stack: Stack, outcome: Outcome, steps: Steps) -> None:
    """Print the addresses of the pages, and wait for Ctrl-C or another signal."""
    for name, url in (
        ("API", f"{stack.addresses.api_url}/docs"),
        ("MLflow", stack.addresses.mlflow_public_url),
        ("the run", str(outcome.job["mlflow_url"])),
    ):
        steps.console.print(f"  {name} {url}", soft_wrap=True)
    steps.console.print("Ctrl-C ends everything")
    with suppress(KeyboardInterrupt, SystemExit):
        while True:
            time.sleep(_PAUSE_SECONDS)


def _show(outcome: Outcome, seconds: dict[str, float]) -> None:
    run = outcome.run
    views.CONSOLE.print()
    parts = ", ".join(f"{name} {spent:.1f}" for name, spent in seconds.items() if name != "total")
    views.facts(
        (
            (
                "test accuracy",
                f"{outcome.test_accuracy:.4f}  ({outcome.right} of {len(outcome.held_out)})",
            ),
            (
                "MLflow run",
                f"{run['info']['status']}, {len(run['data'].get('params', []))} params, "
                f"{len(run['data'].get('metrics', []))} metrics",
            ),
            ("seconds", f"{seconds['total']:.1f}  ({parts})"),
        )
    )


def _forget_settings() -> None:
    """Ignore settings of the environment: the demo uses no other database, token or store."""
    for name in [name for name in os.environ if name.startswith("CHAINRULE_")]:
        del os.environ[name]
