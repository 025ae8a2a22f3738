"""`chainrule mlflow`: repair what MLflow shows of jobs and sweeps."""

import typer

from chainrule.cli import views
from chainrule.cli.options import URL, Json, Token, Url, client, new_typer


def install(app: typer.Typer) -> None:
    """Register the commands of this module."""
    group = new_typer("Repair what MLflow shows.")
    group.command("rebuild")(rebuild)
    app.add_typer(group, name="mlflow")


def rebuild(url: Url = URL, token: Token = "", as_json: Json = False) -> None:
    """Send all jobs and sweeps to MLflow again, after its database was lost or damaged.

    Existing runs are completed, and lost runs are created again. This happens in the background,
    while training continues.
    """
    with client(url, token) as server:
        counts = server.rebuild_mlflow()
    if as_json:
        views.print_json(counts)
        return
    views.CONSOLE.print(
        f"sending {counts['jobs']} jobs and {counts['sweeps']} sweeps to MLflow again"
    )
