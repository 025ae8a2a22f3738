"""`chainrule evaluate` and `chainrule score`: use a registered model on a dataset version."""

from pathlib import Path
from typing import Annotated

import typer

from chainrule.cli import views
from chainrule.cli.commands.jobs.jobs import exit_as
from chainrule.cli.files import checked_output
from chainrule.cli.options import URL, Json, Token, Url, client
from chainrule.cli.predictions import Interval, Probabilities
from chainrule.cli.progress import follow
from chainrule.cli.references import ModelReference
from chainrule.client.transport import Document

Data = Annotated[str, typer.Argument(help="The dataset version, like digits@1.")]
KINDS = {".parquet": "parquet", ".csv": "csv"}


def install(app: typer.Typer) -> None:
    """Register the commands of this module."""
    app.command("evaluate")(evaluate)
    app.command("score")(score)


def evaluate(
    model: ModelReference,
    dataset: Data,
    slices: Annotated[
        list[str] | None,
        typer.Option(
            "--slice", help="Also measure the rows of each value of this column. Repeatable."
        ),
    ] = None,
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Evaluate a model on a dataset version, as a job. A stored result is shown again.

    [dim]chainrule evaluate digits@champion digits@1 --slice label[/]
    """
    with client(url, token) as server:
        job = server.models.evaluate(model, dataset, slices=slices or [])
        exit_as(follow(server, job["id"], visible=not as_json, console=views.ERRORS), watched=True)
        evaluation = server.jobs.evaluation(job["id"])
    if as_json:
        views.print_json(evaluation)
        return
    _show_metrics(evaluation)
    _show_confusion(evaluation.get("confusion"))


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
        list[str] | None, typer.Option("--keep", help="Also write this column. Repeatable.")
    ] = None,
    probabilities: Probabilities = False,
    interval: Interval = None,
    url: Url = URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Predict all rows of a dataset version, as a job, and download the file.

    [dim]chainrule score digits@champion digits@1 -o answers.parquet --keep label[/]
    """
    kind = KINDS.get(out.suffix.lower())
    if kind is None:
        raise typer.BadParameter(f"{out}: the name must end with .parquet or .csv")
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


def _show_metrics(evaluation: Document) -> None:
    keys = list(evaluation["metrics"])
    rows = [("all rows", evaluation["rows"], evaluation["metrics"])] + [
        (f"{part['column']} = {part['value']}", part["rows"], part["metrics"])
        for part in evaluation["slices"]
    ]
    views.table(
        ("", "rows", *keys),
        (
            (name, str(count), *(views.number(metrics[key]) for key in keys))
            for name, count, metrics in rows
        ),
        "",
    )


def _show_confusion(confusion: Document | None) -> None:
    """Print the confusion matrix, if it fits into a terminal. Rows are the true labels."""
    if confusion is None or len(confusion["labels"]) > views.MOST_COLUMNS:
        return
    labels = [str(label) for label in confusion["labels"]]
    views.CONSOLE.print()
    views.table(
        ("predicted as", *labels),
        (
            (label, *map(str, counts))
            for label, counts in zip(labels, confusion["counts"], strict=True)
        ),
        "",
    )
