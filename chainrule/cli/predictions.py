"""Options and output that the commands that predict share."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from chainrule.cli import views
from chainrule.client.jobs import Jobs
from chainrule.client.models import Models
from chainrule.client.transport import Document

Probabilities = Annotated[
    bool, typer.Option("--probabilities", "-p", help="Also return the probability of each label.")
]

Interval = Annotated[
    float | None,
    typer.Option(
        "--interval",
        "-i",
        min=0,
        max=1,
        help="For a regression, also return an interval with this probability, like 0.9.",
    ),
]


def predicted(
    models: Jobs | Models,
    reference: str,
    rows: list[dict[str, Any]] | None,
    file: Path,
    target: str | list[str],
    *,
    probabilities: bool,
    interval: float | None,
) -> Document:
    """Return the predictions for rows, or for a file that the server parses if there are none."""
    if rows is None:
        return models.predict_file(reference, file, probabilities=probabilities, interval=interval)
    rows = without_targets(rows, target)
    answer: Document = models.predict(
        reference, rows, probabilities=probabilities, interval=interval
    )
    return answer


def without_targets(rows: list[dict[str, Any]], target: str | list[str]) -> list[dict[str, Any]]:
    """Return the rows without their target columns, and print which of those they had."""
    targets = [target] if isinstance(target, str) else target
    present = [name for name in targets if any(name in row for row in rows)]
    if present:
        views.ERRORS.print(f"target columns not sent: {', '.join(present)}", style="dim")
    return [{name: row[name] for name in row if name not in present} for row in rows]


def show_predictions(answer: Document, *, as_json: bool) -> None:
    """Print predictions, one a line, with the probabilities or intervals they have."""
    if as_json:
        views.print_json(answer)
        return
    absent = [None] * len(answer["predictions"])
    probabilities = answer.get("probabilities") or absent
    intervals = answer.get("intervals") or absent
    rows = zip(answer["predictions"], probabilities, intervals, strict=True)
    for prediction, labels, interval in rows:
        likely = sorted((labels or {}).items(), key=lambda pair: -float(pair[1]))[:3]
        detail = "  ".join(f"{label} {views.number(share)}" for label, share in likely)
        if interval is not None:
            detail = f"{json.dumps(interval['low'])} to {json.dumps(interval['high'])}"
        shown = prediction if isinstance(prediction, str) else json.dumps(prediction)
        views.CONSOLE.print(
            escape(shown) + (f"  [dim]{escape(detail)}[/]" if detail else ""), soft_wrap=True
        )
