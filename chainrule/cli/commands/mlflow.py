"""`chainrule mlflow`: what MLflow shows of jobs and sweeps."""

import typer

from chainrule.cli import views
from chainrule.cli.options import URL, Json, Token, Url, client, new_typer


def install(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = new_typer("Repair what MLflow shows.")
    group.command("rebuild")(rebuild)
    app.add_typer(group, name="mlflow")


def rebuild(url: Url = URL, token: Token = "", as_json: Json = False) -> None:
    """Tell MLflow everything anew: after its database was lost, restored or damaged.

    Runs that it still has are completed; what it lost gets new runs. It takes a while, beside
    training.
    """
    with client(url, token) as server:
        done = server.rebuild_mlflow()
    if as_json:
        views.print_json(done)
        return
    views.CONSOLE.print(f"{done['jobs']} jobs and {done['sweeps']} sweeps are told anew")
