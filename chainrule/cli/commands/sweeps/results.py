"""`chainrule sweep plot|export|best|promote`: results of a sweep."""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from chainrule.cli import views
from chainrule.cli.files import checked_output
from chainrule.cli.options import URL, Json, Token, Url, client
from chainrule.client import Client

SweepId = Annotated[str, typer.Argument(help="Id of the sweep, its first characters, or `latest`.")]


def install(sweep: typer.Typer) -> None:
    """Register the commands of this module."""
    for command in (plot, export, best, promote):
        sweep.command(command.__name__)(command)


def plot(
    sweep_id: SweepId,
    kind: Annotated[
        str,
        typer.Argument(
            help="history, importances, parallel_coordinates, slices, contours, distribution, "
            "learning_curves or pareto_front."
        ),
    ] = "history",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="The file to write. Default: KIND.html in the current folder.",
            show_default=False,
            callback=checked_output,
        ),
    ] = None,
    objective: Annotated[
        int, typer.Option(min=0, help="Number of the objective, if there are several.")
    ] = 0,
    show: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    url: Url = URL,
    token: Token = "",
) -> None:
    """Write an interactive plot of a sweep, as a page that needs no server.

    [dim]chainrule sweep plot latest importances --open[/]
    """
    with client(url, token) as server:
        page = server.sweeps.plot(find(server, sweep_id), kind, objective=objective)
    path = output or Path(f"{kind}.html")
    path.write_text(page, encoding="utf-8")
    views.CONSOLE.print(f"[green]written[/] {path}")
    if show:
        webbrowser.open(path.resolve().as_uri())


def export(
    sweep_id: SweepId,
    file: Annotated[
        Path, typer.Argument(help="The SQLite file to write.", callback=checked_output)
    ],
    url: Url = URL,
    token: Token = "",
) -> None:
    """Write all trials as an Optuna study, for Optuna Dashboard and scripts.

    [dim]chainrule sweep export latest study.db[/]
    [dim]optuna-dashboard sqlite:///study.db[/]
    """
    with client(url, token) as server:
        content = server.sweeps.study(find(server, sweep_id))
    file.write_bytes(content)
    views.CONSOLE.print(f"[green]written[/] {file}")


def best(sweep_id: SweepId, url: Url = URL, token: Token = "") -> None:
    """Print the JobSpec of the best trial, to train it again or longer.

    [dim]chainrule sweep best latest > best.json && chainrule submit best.json[/]
    """
    with client(url, token) as server:
        views.print_json(server.sweeps.best(find(server, sweep_id))["job"])


def promote(
    sweep_id: SweepId,
    name: Annotated[str, typer.Argument(help="Name of the model, like digits.")],
    alias: Annotated[
        str | None, typer.Option(help="Point this alias at the version, like champion.")
    ] = None,
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Register the model of the best trial.

    [dim]chainrule sweep promote latest digits --alias champion[/]
    """
    with client(url, token) as server:
        made = server.sweeps.promote(find(server, sweep_id), name, alias=alias)
    if as_json:
        views.print_json(made)
        return
    pointing = f", {made['name']}@{alias} points at it" if alias else ""
    views.CONSOLE.print(f"[green]registered[/] {made['name']}@{made['version']}{pointing}")


def find(server: Client, given: str) -> str:
    """Return the id of a sweep named by its id, its first characters, or `latest`.

    Raises BadParameter if several ids begin with these characters.
    """
    recent = [sweep["id"] for _, sweep in zip(range(500), server.sweeps.list(), strict=False)]
    if given == "latest" and recent:
        return str(recent[0])
    matches = [sweep_id for sweep_id in recent if sweep_id.startswith(given)]
    if len(matches) > 1:
        raise typer.BadParameter(
            f"{len(matches)} sweeps begin with {given}: type more characters of the id"
        )
    return str(matches[0]) if matches else given
