"""`chainrule demo`: see it work once."""

import os
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer
from rich.console import Console

from chainrule.cli import views
from chainrule.cli.progress import follow
from chainrule.demo.run import WANTED_ACCURACY, Outcome, demonstrate
from chainrule.demo.steps import Steps
from chainrule.stack.errors import StackError
from chainrule.stack.logs import Logs
from chainrule.stack.options import Options
from chainrule.stack.stack import Stack


def install(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("demo")(demo)


def demo(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one summary object; the rest goes to stderr.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Also show what the processes say.")
    ] = False,
) -> None:
    """Train a digit recogniser through the whole stack, then clean up.

    Starts database, broker, MLflow, api, scheduler and worker on free ports in a temporary folder,
    uploads 1,797 images, trains, predicts images it has never seen, and ends everything.

    Exit code 0 when the network got at least 97 % of them right.
    """
    steps = Steps(Console(stderr=as_json, highlight=False))
    _forget_settings()
    with tempfile.TemporaryDirectory(
        prefix="chainrule-demo-", ignore_cleanup_errors=True
    ) as folder:
        outcome = _run(Path(folder), steps, verbose)
    seconds = {**steps.seconds, "total": steps.total()}
    if as_json:
        views.print_json(outcome.summary(seconds))
    else:
        _show(outcome, steps, seconds)
    if not outcome.good:
        raise StackError(
            f"test accuracy {outcome.test_accuracy:.4f} is below {WANTED_ACCURACY}: "
            "please report it"
        )


def _run(folder: Path, steps: Steps, verbose: bool) -> Outcome:
    logs = Logs(sys.stderr if verbose else None)
    options = Options(data_dir=folder, port=0, mlflow_port=0)
    stack = Stack(options, logs, progress=steps.waiting)
    _end_on_signal(stack)
    try:
        with steps.step("start", "starting database, broker, api, scheduler, worker, MLflow"):
            stack.start()
        steps.console.print(f"  api {stack.addresses.api_url}/docs")
        steps.console.print(f"  MLflow {stack.addresses.mlflow_public_url} (still coming up)")
        outcome = demonstrate(stack, steps, follow)
    except BaseException:
        stack.close()
        raise
    with steps.step("stop", "ending every process"):
        # Nothing of it is kept, so nothing need be saved.
        stack.hurry()
        stack.close()
    return outcome


def _show(outcome: Outcome, steps: Steps, seconds: dict[str, float]) -> None:
    run, job = outcome.run, outcome.job
    views.CONSOLE.print()
    parts = ", ".join(f"{name} {spent:.1f}" for name, spent in seconds.items() if name != "total")
    views.facts(
        (
            (
                "test accuracy",
                f"{outcome.test_accuracy:.4f}  ({outcome.right} of {len(outcome.held_out)})",
            ),
            ("MLflow run", str(job["mlflow_url"])),
            (
                "",
                f"{run['info']['status']}, {len(run['data'].get('params', []))} params, "
                f"{len(run['data'].get('metrics', []))} metrics",
            ),
            ("seconds", f"{seconds['total']:.1f}  ({parts})"),
        )
    )
    steps.console.print("\nThat stack is gone. One that stays: [bold]chainrule up[/]")


def _forget_settings() -> None:
    """The demonstration is its own world: no database, token or store of somebody's set-up."""
    for name in [name for name in os.environ if name.startswith("CHAINRULE_")]:
        del os.environ[name]


def _end_on_signal(stack: Stack) -> None:
    """End in good order at the first signal, by force at the second."""
    seen: list[int] = []

    def end(number: int, frame: FrameType | None) -> Any:
        if seen or stack.closing:
            stack.hurry()
            return
        seen.append(number)
        raise SystemExit(128 + number)

    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, end)
