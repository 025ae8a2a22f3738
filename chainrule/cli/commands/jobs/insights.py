"""`chainrule insights`: what a trained network does with held-out rows."""

import typer
from rich.table import Table
from rich.text import Text

from chainrule.cli import views
from chainrule.cli.commands.jobs.jobs import JobId, find
from chainrule.cli.dataset_pages import bars
from chainrule.cli.options import URL, Json, Token, Url, client
from chainrule.client.transport import Document

_HARDEST = 10


def install(app: typer.Typer) -> None:
    """Register the commands of this module."""
    app.command("insights")(insights)


def insights(job_id: JobId, url: Url = URL, token: Token = "", as_json: Json = False) -> None:
    """Show a finished job's confusion matrix, hardest rows, and distributions of its layers.

    [dim]chainrule insights latest[/]
    """
    with client(url, token) as server:
        report = server.jobs.insights(find(server, job_id, kind="train"))
    if as_json:
        views.print_json(report)
        return
    views.CONSOLE.print(f"[dim]{report['rows']} {report['part']} rows[/]")
    if report.get("confusion"):
        views.CONSOLE.print(_confusion(report["confusion"]))
    rows = (
        (str(row["row"]), views.number(row["loss"]), _value(row["truth"]), _value(row["answer"]))
        for row in report["hardest"][:_HARDEST]
    )
    views.table(("hardest row", "loss", "truth", "answer"), rows, "")
    for name in ("activations", "gradients"):
        spreads = (
            (
                path,
                bars(histogram["counts"]),
                f"{histogram['low']:.3g} to {histogram['high']:.3g}",
                f"{histogram['zero']:.0%}",
            )
            for path, histogram in report[name].items()
        )
        views.CONSOLE.print()
        views.table((name, "spread", "from", "zero"), spreads, "")


def _confusion(confusion: Document) -> Table:
    table = Table(title="rows: truth, columns: answer", box=None, title_justify="left")
    labels = [str(label) for label in confusion["labels"]]
    table.add_column("", justify="right", style="bold")
    for label in labels:
        table.add_column(label, justify="right")
    for row, (label, counts) in enumerate(zip(labels, confusion["counts"], strict=True)):
        cells = [Text(label)]
        for column, count in enumerate(counts):
            style = "green" if row == column else "red" if count else "dim"
            cells.append(Text(str(count) if count else ".", style=style))
        table.add_row(*cells)
    return table


def _value(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(views.number(item) for item in value)
    return "" if value is None else str(value)
