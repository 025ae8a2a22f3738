"""The command line: its commands, and the one handler of their errors."""

import sys

from rich.markup import escape

from chainrule.cli.commands import fit, specs
from chainrule.cli.commands.datasets import datasets
from chainrule.cli.commands.jobs import comparison, control, insights, jobs, sources, watch
from chainrule.cli.commands.models import inference, models
from chainrule.cli.commands.server import demo, gc, mlflow, nodes, up, version, webhooks
from chainrule.cli.commands.sweeps import sweeps
from chainrule.cli.options import new_typer
from chainrule.cli.views import CONSOLE, ERRORS
from chainrule.client.problem import DeadlineError, ProblemError, UnreachableError
from chainrule.fitting import FitError
from chainrule.stack import MissingServerError, StackError

app = new_typer(
    "Train neural networks with Chainrule.\n\n"
    "Train on a table: [bold]chainrule fit data.csv --target label[/]. Try it: "
    "[bold]chainrule demo[/]. Start a server: [bold]chainrule up[/]. Then, in a second shell:\n\n"
    "[bold]chainrule dataset add digits digits.csv[/]\n"
    "[bold]chainrule submit job.json --watch[/]\n"
    "[bold]chainrule predict latest rows.csv[/]\n\n"
    "Commands use the server at CHAINRULE_URL (default http://127.0.0.1:8000) and send the token "
    "in CHAINRULE_API_TOKEN."
)
version.install(app)
up.install(app)
demo.install(app)
datasets.install(app)
specs.install(app)
fit.install(app)
jobs.install(app)
watch.install(app)
control.install(app)
insights.install(app)
sources.install(app)
comparison.install(app)
nodes.install(app)
sweeps.install(app)
models.install(app)
inference.install(app)
gc.install(app)
mlflow.install(app)
webhooks.install(app)


def main() -> int:
    """Run the command in `sys.argv` and return its exit code.

    Every expected error becomes one line on standard error. 0: success, 1: the command failed, 2:
    the arguments are wrong, 130: interrupted.
    """
    try:
        # Typer raises SystemExit with the code of the command.
        app()
    except ProblemError as problem:
        _show_problem(problem)
    except UnreachableError as error:
        _show(f"{error}. Start a server with `chainrule up`, or name one with --url")
    except (StackError, DeadlineError, FitError, MissingServerError) as error:
        _show(str(error))
    except BrokenPipeError:
        # The reader of the pipe has closed it; Python would report that once more at exit.
        sys.stderr.close()
    except OSError as error:
        _show(_file_error(error))
    except UnicodeEncodeError as error:
        text = error.object[error.start : error.end]
        _show(f"cannot write {text!a} as {error.encoding}: use UTF-8 (PYTHONUTF8=1)")
    except KeyboardInterrupt:
        CONSOLE.print()
        return 130
    return 1


def _show(text: str) -> None:
    ERRORS.print(f"[bold red]error:[/] {escape(text)}", highlight=False, soft_wrap=True)


def _file_error(error: OSError) -> str:
    """Describe an error of the operating system, with the file that it is about."""
    reason = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {reason}" if error.filename else reason


def _show_problem(problem: ProblemError) -> None:
    if not problem.errors:
        _show(problem.detail)
        return
    _show(f"{problem.title} ({problem.status})")
    for error in problem.errors:
        where = f"[bold]{escape(error.path)}[/]: " if error.path else ""
        ERRORS.print(f"  {where}{escape(error.message)}", highlight=False, soft_wrap=True)
