"""Format answers of the api for a terminal."""

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from chainrule.client.transport import Document
from chainrule.contract.metric_names import GAUGES, best_label
from chainrule.contract.status import JobKind

CONSOLE = Console(highlight=False)
ERRORS = Console(stderr=True)

_COLOURS = {
    "queued": "yellow",
    "paused": "magenta",
    "running": "cyan",
    "finished": "green",
    "failed": "red",
    "cancelled": "bright_black",
    "pruned": "bright_black",
}
MOST_COLUMNS = 12
"""Columns of a table that fit into a terminal."""
_PREFERRED = ("test/accuracy", "valid/accuracy", "valid/loss", "train/accuracy", "train/loss")


def print_json(document: Any) -> None:
    """Print a JSON document on standard output."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def table(title: Sequence[str], rows: Iterable[Sequence[str | Text]], empty: str) -> None:
    """Print a table, or the sentence `empty` if there are no rows."""
    made = Table(*title, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        made.add_row(*(escape(cell) if isinstance(cell, str) else cell for cell in row))
    CONSOLE.print(made if made.row_count else empty)


def facts(pairs: Iterable[tuple[str, str | Text]]) -> None:
    """Print names and values, one pair a line. Pairs without a value are left out."""
    shown = [(name, value) for name, value in pairs if value]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        # Not a table, which would cut long lines: people copy addresses from here.
        CONSOLE.print(Text(f"{name:<{width}} ", style="bold"), value, soft_wrap=True, markup=False)


def status(job: Document) -> Text:
    """Return the status of a job in its colour."""
    return Text(job["status"], style=_COLOURS.get(job["status"], ""))


def number(value: Any) -> str:
    """Format a metric with four significant digits; NaN and infinity arrive as text."""
    return f"{value:.4g}" if isinstance(value, int | float) else str(value)


def metrics(values: Document, limit: int = 20) -> str:
    """Format metrics, the usual ones first: `valid/accuracy 0.975 · train/loss 0.08`."""
    order = [*(key for key in _PREFERRED if key in values)]
    order += [key for key in values if key not in order and key not in GAUGES]
    return " · ".join(f"{key} {number(values[key])}" for key in order[:limit])


def best(job: Document) -> str:
    """Format the best epoch of a job: `epoch 12 by valid/loss: valid/loss 0.08`."""
    label = best_label(job.get("best_epoch"), job.get("best_metric"))
    shown = metrics(job.get("best_metrics") or {})
    return f"{label}: {shown}" if label and shown else shown


def passed(job: Document) -> str:
    """Format the progress of a job: `epoch 12/30`, `1,000/1,797 rows`."""
    if job["kind"] == JobKind.TRAIN:
        total = job.get("epochs_total")
        return f"epoch {job.get('epochs', 0)}" + (f"/{total}" if total else "")
    rows, total = job.get("rows") or 0, job.get("rows_total")
    return f"{rows:,}/{total:,} rows" if total else f"{rows:,} rows"


def ago(instant: str | None) -> str:
    """Format how long ago an instant was: `3 min ago`."""
    if not instant:
        return ""
    seconds = (datetime.now(UTC) - datetime.fromisoformat(instant)).total_seconds()
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{max(0.0, seconds):.0f} s ago"


def duration(begin: str | None, end: str | None) -> str:
    """Format the time between two instants: `12.3 s`."""
    if not (begin and end):
        return ""
    seconds = (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds()
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def size(count: int) -> str:
    """Format a number of bytes: `1.2 MB`."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def cause(document: Any) -> str:
    """Format the cause of a failure as one line."""
    if not isinstance(document, dict):
        return str(document or "")
    text = document.get("detail") or document.get("message") or document.get("reason")
    return str(text or json.dumps(document))
