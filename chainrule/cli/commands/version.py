"""`chainrule --version`: the version of the installed package."""

from importlib.metadata import version
from typing import Annotated

import typer


def install(app: typer.Typer) -> None:
    """Add the option of this module to the command line as a whole."""
    app.callback()(options)


def _show(asked: bool) -> None:
    if asked:
        typer.echo(f"chainrule {version('chainrule')}")
        raise typer.Exit


def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Options that stand before any command."""
