"""What commands that predict have in common: rows from a file, answers on the screen."""

import csv
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from chainrule.cli import views
from chainrule.transport import Document

RowsFile = Annotated[
    Path,
    typer.Argument(
        help="Rows: CSV with a header, or JSON (a list of objects); - reads JSON from standard "
        "input.",
        allow_dash=True,
    ),
]
Probabilities = Annotated[
    bool, typer.Option("--probabilities", "-p", help="Also the probability of each label.")
]

Interval = Annotated[
    float | None,
    typer.Option(
        "--interval",
        "-i",
        min=0,
        max=1,
        help="Of a regression also an interval that holds the truth with this chance: 0.9.",
    ),
]


def read_rows(file: Path) -> list[dict[str, Any]]:
    """Rows of a CSV or JSON file, cells by column. Raises BadParameter when it holds none."""
    if file.suffix.lower() == ".csv":
        with file.open(encoding="utf-8-sig", newline="") as lines:
            return [
                {name: _cell(text) for name, text in row.items()} for row in csv.DictReader(lines)
            ]
    rows = json_file(file)
    if isinstance(rows, dict):
        rows = rows.get("rows", [rows])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise typer.BadParameter(f"{file}: rows are a JSON list of objects, column by name")
    return rows


def without_targets(rows: list[dict[str, Any]], target: str | list[str]) -> list[dict[str, Any]]:
    """The rows without the columns that are to be predicted; says which of those they had."""
    targets = [target] if isinstance(target, str) else target
    had = [name for name in targets if any(name in row for row in rows)]
    if had:
        views.ERRORS.print(f"not shown to the network: {', '.join(had)}", style="dim")
    return [{name: row[name] for name in row if name not in had} for row in rows]


def _cell(text: str) -> Any:
    """A cell of a CSV file: a number if it reads as one, else its text."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text


def json_file(file: Path) -> Any:
    """What a JSON file holds, or standard input for `-`. Raises BadParameter."""
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
        return json.loads(text)
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror}") from error
    except ValueError as error:
        raise typer.BadParameter(f"{file} is not JSON: {error}") from error


def show_predictions(answer: Document, *, as_json: bool) -> None:
    """Predictions, one a line, with likeliest labels or intervals if asked for; or all as JSON."""
    if as_json:
        views.print_json(answer)
        return
    nothing = [None] * len(answer["predictions"])
    chances = answer.get("probabilities") or nothing
    intervals = answer.get("intervals") or nothing
    rows = zip(answer["predictions"], chances, intervals, strict=True)
    for prediction, chance, interval in rows:
        likely = sorted((chance or {}).items(), key=lambda pair: -float(pair[1]))[:3]
        said = "  ".join(f"{label} {views.number(share)}" for label, share in likely)
        if interval is not None:
            said = f"{json.dumps(interval['low'])} to {json.dumps(interval['high'])}"
        shown = prediction if isinstance(prediction, str) else json.dumps(prediction)
        views.CONSOLE.print(
            escape(shown) + (f"  [dim]{escape(said)}[/]" if said else ""), soft_wrap=True
        )
