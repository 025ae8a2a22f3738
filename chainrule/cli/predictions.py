"""Options and output that the commands that predict share."""

import json
from typing import Annotated, Any

import typer
from rich.markup import escape

from chainrule.cli import views
from chainrule.transport import Document

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


def without_targets(rows: list[dict[str, Any]], target: str | list[str]) -> list[dict[str, Any]]:
    """The rows without the columns that are to be predicted; says which of those they had."""
    targets = [target] if isinstance(target, str) else target
    had = [name for name in targets if any(name in row for row in rows)]
    if had:
        views.ERRORS.print(f"not shown to the network: {', '.join(had)}", style="dim")
    return [{name: row[name] for name in row if name not in had} for row in rows]


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
