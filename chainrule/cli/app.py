"""The command line: its commands, and the one handler of their errors."""

import sys

from chainrule.cli.commands import fit, specs
from chainrule.cli.commands.datasets import datasets
from chainrule.cli.commands.jobs import (
    comparison,
    control,
    insights,
    jobs,
    lists,
    notes,
    sources,
    watch,
)
from chainrule.cli.commands.models import inference, models
from chainrule.cli.commands.server import background, demo, gc, mlflow, nodes, up, version, webhooks
from chainrule.cli.commands.sweeps import sweeps
from chainrule.cli.errors import check_text, show_error
from chainrule.cli.options import new_typer
from chainrule.cli.views import CONSOLE

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
background.install(app)
demo.install(app)
datasets.install(app)
specs.install(app)
fit.install(app)
jobs.install(app)
lists.install(app)
watch.install(app)
control.install(app)
notes.install(app)
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

    Every error becomes text on standard error. 0: success, 1: the command failed, 2: the arguments
    are wrong, 130: interrupted.
    """
    try:
        check_text(sys.argv)
        # Typer raises SystemExit with the code of the command.
        app()
    except BrokenPipeError:
        # The reader of the pipe has closed it; Python would report that once more at exit.
        sys.stderr.close()
    except KeyboardInterrupt:
        CONSOLE.print()
        return 130
    except Exception as error:
        return show_error(error)
    return 1
