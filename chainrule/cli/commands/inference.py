"""Commands that let a registered model go over a dataset version: evaluate, score."""

from pathlib import Path
from typing import Annotated

import typer

from chainrule.cli import views
from chainrule.cli.commands.jobs import exit_as
from chainrule.cli.files import checked_output
from chainrule.cli.options import URL, Json, Token, Url, client
from chainrule.cli.predictions import Interval, Probabilities
from chainrule.cli.progress import follow
from chainrule.cli.references import ModelReference
from chainrule.transport import Document

Data = Annotated[str, typer.Argument(help="The dataset version: digits@1.")]
KINDS = {".parquet": "parquet", ".csv": "csv"}


def install(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("evaluate")(evaluate)
    app.command("score")(score)


def evaluate(
    model: ModelReference,
    dataset: Data,
    slices: Annotated[
        list[str] | None, typer.Option("--slice", help="Also by the values of this column.")
    ] = None,
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Measure a model on a dataset version, as a job; what was measured before is only shown.

    [dim]chainrule evaluate digits@champion digits@1 --slice label[/]
    """
    with client(url, token) as server:
        job = server.models.evaluate(model, dataset, slices=slices or [])
        exit_as(follow(server, job["id"], visible=not as_json, console=views.ERRORS), watched=True)
        found = server.jobs.evaluation(job["id"])
    if as_json:
        views.print_json(found)
        return
    _show_metrics(found)
    _show_confusion(found.get("confusion"))


def score(
    model: ModelReference,
    dataset: Data,
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="The .parquet or .csv file to write.", callback=checked_output
        ),
    ],
    keep: Annotated[
        list[str] | None, typer.Option("--keep", help="A column to write beside each answer.")
    ] = None,
    probabilities: Probabilities = False,
    interval: Interval = None,
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Let a model answer for all rows of a dataset version, as a job, and fetch the file.

    [dim]chainrule score digits@champion digits@1 -o answers.parquet --keep label[/]
    """
    kind = KINDS.get(out.suffix.lower())
    if kind is None:
        raise typer.BadParameter(f"{out}: the name of a file of answers ends with .parquet or .csv")
    with client(url, token) as server:
        job = server.models.score(
            model,
            dataset,
            keep=keep or [],
            probabilities=probabilities,
            interval=interval,
            kind=kind,
        )
        job = follow(server, job["id"], visible=not as_json, console=views.ERRORS)
        exit_as(job, watched=True)
        server.jobs.predictions(job["id"], out)
    if as_json:
        views.print_json(job)
        return
    size = views.size(out.stat().st_size)
    views.CONSOLE.print(f"[green]wrote[/] {out} ({job['rows']:,} rows, {size})", soft_wrap=True)


def _show_metrics(found: Document) -> None:
    keys = list(found["metrics"])
    rows = [("all rows", found["rows"], found["metrics"])] + [
        (f"{one['column']} = {one['value']}", one["rows"], one["metrics"])
        for one in found["slices"]
    ]
    views.table(
        ("", "rows", *keys),
        (
            (what, str(count), *(views.number(metrics[key]) for key in keys))
            for what, count, metrics in rows
        ),
        "",
    )


def _show_confusion(found: Document | None) -> None:
    """The answers by true class, where there are so few that they fit beside each other."""
    if found is None or len(found["labels"]) > views.MOST_COLUMNS:
        return
    labels = [str(label) for label in found["labels"]]
    views.CONSOLE.print()
    views.table(
        ("taken for", *labels),
        ((label, *map(str, counts)) for label, counts in zip(labels, found["counts"], strict=True)),
        "",
    )
