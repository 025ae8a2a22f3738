"""The command that shows what a trained network does with rows it did not learn from."""

import typer
from rich.table import Table
from rich.text import Text

from chainrule.cli import views
from chainrule.cli.commands.jobs import JobId, find
from chainrule.cli.dataset_pages import bars
from chainrule.cli.options import URL, Json, Token, Url, client
from chainrule.transport import Document

_HARDEST = 10


def install(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("insights")(insights)


def insights(job_id: JobId, url: Url = URL, token: Token = "", as_json: Json = False) -> None:
    """Show a finished job's confusion matrix, hardest rows, and how its layers are spread.

    [dim]chainrule insights latest[/]
    """
    with client(url, token) as server:
        found = server.jobs.insights(find(server, job_id, kind="train"))
    if as_json:
        views.print_json(found)
        return
    views.CONSOLE.print(f"[dim]{found['rows']} {found['part']} rows[/]")
    if found.get("confusion"):
        views.CONSOLE.print(_confusion(found["confusion"]))
    rows = (
        (str(one["row"]), views.number(one["loss"]), _said(one["truth"]), _said(one["answer"]))
        for one in found["hardest"][:_HARDEST]
    )
    views.table(("hardest row", "loss", "truth", "answer"), rows, "")
    for name in ("activations", "gradients"):
        spreads = (
            (
                path,
                bars(one["counts"]),
                f"{one['low']:.3g} to {one['high']:.3g}",
                f"{one['zero']:.0%}",
            )
            for path, one in found[name].items()
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


def _said(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(views.number(one) for one in value)
    return "" if value is None else str(value)
