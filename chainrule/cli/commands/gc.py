"""`chainrule gc`: erase what finished jobs left behind and nobody needs."""

from typing import Annotated

import typer

from chainrule.cli import views
from chainrule.cli.options import URL, Json, Token, Url, client


def install(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("gc")(gc)


def gc(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be erased.")
    ] = False,
    checkpoints_days: Annotated[
        float, typer.Option(min=0, help="Checkpoints of jobs that ended so many days ago go.")
    ] = 7.0,
    models_days: Annotated[
        float | None,
        typer.Option(min=0, help="So do their models, unless registered. Not given: all stay."),
    ] = None,
    predictions_days: Annotated[
        float | None,
        typer.Option(min=0, help="So do files of answers. Not given: all stay."),
    ] = None,
    metrics_days: Annotated[
        float | None,
        typer.Option(min=0, help="Their curves keep 1,000 points each. Not given: all stay."),
    ] = None,
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Erase checkpoints of jobs that ended long ago; models without a name and detail on request.

    [dim]chainrule gc --dry-run --models-days 30[/]
    """
    with client(url, token) as server:
        done = server.collect_garbage(
            {
                "checkpoints_days": checkpoints_days,
                "models_days": models_days,
                "predictions_days": predictions_days,
                "metrics_days": metrics_days,
                "dry_run": dry_run,
            }
        )
    if as_json:
        views.print_json(done)
        return
    views.table(
        ("kind", "job", "bytes", "file"),
        ((one["kind"], one["job_id"][:8], views.size(one["bytes"]), one["key"])
         for one in done["items"]),
        "nothing to erase",
    )  # fmt: skip
    if done["items"]:
        word = "would be erased" if dry_run else "erased"
        views.CONSOLE.print(f"{len(done['items'])} items, {views.size(done['bytes'])}, {word}")
