"""Files that a command reads or writes; each error names the file and the way out."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

STDIN = "-"
"""The name that stands for standard input."""

RowsFile = Annotated[
    Path,
    typer.Argument(
        help="Rows: a file in a format of datasets, such as CSV, or JSON (a list of objects); - "
        "reads JSON from standard input.",
        allow_dash=True,
    ),
]


def read_rows(file: Path) -> list[dict[str, Any]] | None:
    """Return the rows of a JSON file, or None for another file, which the server reads.

    Raises BadParameter for a file that cannot be read or has no rows.
    """
    if str(file) != STDIN and file.suffix.lower() != ".json":
        with _reading(file), file.open("rb"):
            return None
    document = read_json(file)
    rows = document.get("rows", [document]) if isinstance(document, dict) else document
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise typer.BadParameter(f'{file}: rows are a JSON list of objects, like [{{"x": 1}}]')
    return rows


def read_object(file: Path, kind: str) -> dict[str, Any]:
    """Return the JSON object in a file; `kind` names it in errors. Raises BadParameter."""
    document = read_json(file)
    if not isinstance(document, dict):
        raise typer.BadParameter(f"{file}: a {kind} is a JSON object, like {{...}}")
    return document


def read_json(file: Path) -> Any:
    """Return the JSON document in a file, or on standard input for `-`. Raises BadParameter."""
    return parse_json(_read_text(file), str(file))


def parse_json(text: str, name: str) -> Any:
    """Return the JSON document in a text; `name` is that of the text in errors.

    Raises BadParameter.
    """
    try:
        return json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"{name} is not JSON: {error}") from error
    except RecursionError:
        raise typer.BadParameter(f"{name} is not usable: its JSON is nested too deeply") from None


def checked_output(file: Path | None) -> Path | None:
    """Check that a file can be made at this path, before the server is asked for its content.

    A callback of options and arguments. Raises BadParameter.
    """
    if file is None:
        return None
    if file.is_dir():
        raise typer.BadParameter(f"{file} is a folder: name a file in it")
    if not file.parent.is_dir():
        raise typer.BadParameter(f"there is no folder {file.parent}: create it first")
    return file


@contextmanager
def _reading(file: Path) -> Iterator[None]:
    """Raise BadParameter for a file that cannot be read in the context."""
    try:
        yield
    except FileNotFoundError:
        raise typer.BadParameter(f"there is no file {file}") from None
    except OSError as error:
        raise typer.BadParameter(f"cannot read {file}: {error.strerror}") from error


def _read_text(file: Path) -> str:
    with _reading(file):
        data = sys.stdin.buffer.read() if str(file) == STDIN else file.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise typer.BadParameter(
            f"{file} is not UTF-8 text (byte {error.start}): save it as UTF-8"
        ) from None
