"""`chainrule --version`: the version of the installed package."""

from importlib.metadata import version
from typing import Annotated

import typer


def install(app: typer.Typer) -> None:
    """Register the options that stand before any command."""
    app.callback()(options)


def _show(requested: bool) -> None:
    if requested:
        typer.echo(f"chainrule {version('chainrule')}")
        raise typer.Exit


def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Options before a command."""
