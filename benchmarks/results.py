"""Rows of a benchmark: shown as a table, written as JSON."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

FOLDER = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Row:
    """One figure. `goal` is what it should reach (`>= 1.0`), `met` whether it does; or None."""

    name: str
    value: float
    unit: str
    goal: str | None = None
    met: bool | None = None


def at_least(name: str, value: float, unit: str, goal: float) -> Row:
    """A figure that should be `goal` or more."""
    return Row(name, round(value, 4), unit, f">= {goal:g}", value >= goal)


def at_most(name: str, value: float, unit: str, goal: float) -> Row:
    """A figure that should be `goal` or less."""
    return Row(name, round(value, 4), unit, f"<= {goal:g}", value <= goal)


def figure(name: str, value: float, unit: str) -> Row:
    """A figure without a goal."""
    return Row(name, round(value, 4), unit)


def publish(benchmark: str, rows: list[Row]) -> None:
    """Print the rows and write `results/BENCHMARK.json`."""
    table = Table("name", "value", "unit", "goal", "met", title=benchmark)
    for row in rows:
        met = "" if row.met is None else ("yes" if row.met else "[red]no[/red]")
        table.add_row(row.name, f"{row.value:,.4g}", row.unit, row.goal or "", met)
    Console(width=110).print(table)
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{benchmark}.json"
    path.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    print(f"written to {path.relative_to(FOLDER.parent.parent)}")
