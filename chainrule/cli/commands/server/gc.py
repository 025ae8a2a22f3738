"""`chainrule gc`: erase files of ended jobs that nothing needs."""

from typing import Annotated

import typer

from chainrule.cli import views
from chainrule.cli.options import URL, Json, Token, Url, client


def install(app: typer.Typer) -> None:
    """Register the command of this module."""
    app.command("gc")(gc)


def gc(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List the files without erasing them.")
    ] = False,
    checkpoints_days: Annotated[
        float, typer.Option(min=0, help="Erase checkpoints of jobs that ended this many days ago.")
    ] = 7.0,
    models_days: Annotated[
        float | None,
        typer.Option(min=0, help="Also erase their models, unless registered. Default: keep all."),
    ] = None,
    predictions_days: Annotated[
        float | None,
        typer.Option(min=0, help="Also erase their prediction files. Default: keep all."),
    ] = None,
    metrics_days: Annotated[
        float | None,
        typer.Option(
            min=0, help="Also reduce their curves to 1,000 points each. Default: keep all."
        ),
    ] = None,
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Erase checkpoints of old jobs and, on request, unregistered models and prediction files.

    [dim]chainrule gc --dry-run --models-days 30[/]
    """
    with client(url, token) as server:
        report = server.collect_garbage(
            {
                "checkpoints_days": checkpoints_days,
                "models_days": models_days,
                "predictions_days": predictions_days,
                "metrics_days": metrics_days,
                "dry_run": dry_run,
            }
        )
    if as_json:
        views.print_json(report)
        return
    views.table(
        ("kind", "job", "bytes", "file"),
        ((item["kind"], item["job_id"][:8], views.size(item["bytes"]), item["key"])
         for item in report["items"]),
        "nothing to erase",
    )  # fmt: skip
    if report["items"]:
        word = "would be erased" if dry_run else "erased"
        views.CONSOLE.print(f"{len(report['items'])} items, {views.size(report['bytes'])}, {word}")
