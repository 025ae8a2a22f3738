"""Files that a command reads or writes; each error names the file and the way out."""

import csv
import io
import json
import re
import sys
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import typer

DELIMITERS = ",;\t|"
STDIN = "-"
"""The name that stands for standard input."""

RowsFile = Annotated[
    Path,
    typer.Argument(
        help="Rows: a CSV file with a header, or JSON (a list of objects); - reads JSON from "
        "standard input.",
        allow_dash=True,
    ),
]


def read_rows(file: Path, options: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """Return the rows of a CSV or JSON file, as dictionaries by column name.

    A CSV cell that reads as a number becomes one. `options` are parse options, as of an upload.
    Raises BadParameter for a file that cannot be read and for rows that do not fit the header.
    """
    if is_csv(file):
        return _read_csv(file, options or {})
    document = read_json(file)
    rows = document.get("rows", [document]) if isinstance(document, dict) else document
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise typer.BadParameter(f'{file}: rows are a JSON list of objects, like [{{"x": 1}}]')
    return rows


def is_csv(file: Path) -> bool:
    """Whether rows are read as CSV, by the name of the file."""
    return file.suffix.lower() == ".csv"


def read_object(file: Path, kind: str) -> dict[str, Any]:
    """Return the JSON object in a file; `kind` names it in errors. Raises BadParameter."""
    document = read_json(file)
    if not isinstance(document, dict):
        raise typer.BadParameter(f"{file}: a {kind} is a JSON object, like {{...}}")
    return document


def read_json(file: Path) -> Any:
    """Return the JSON document in a file, or on standard input for `-`. Raises BadParameter."""
    text = _read_text(file)
    try:
        return json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"{file} is not JSON: {error}") from error
    except RecursionError:
        raise typer.BadParameter(f"{file} is not usable: its JSON is nested too deeply") from None


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


def _read_text(file: Path) -> str:
    try:
        data = sys.stdin.buffer.read() if str(file) == STDIN else file.read_bytes()
    except FileNotFoundError:
        raise typer.BadParameter(f"there is no file {file}") from None
    except OSError as error:
        raise typer.BadParameter(f"cannot read {file}: {error.strerror}") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise typer.BadParameter(
            f"{file} is not UTF-8 text (byte {error.start}): save it as UTF-8"
        ) from None


def _read_csv(file: Path, options: Mapping[str, str]) -> list[dict[str, Any]]:
    text = _read_text(file)
    delimiter = options.get("delimiter") or _delimiter(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows = []
    try:
        header = next(reader, [])
        lines: Iterable[list[str]] = filter(None, reader)
        if options.get("header") == "absent":
            lines = chain([header], lines)
            header = [f"column_{place + 1}" for place in range(len(header))]
        for cells in lines:
            if len(cells) != len(header):
                raise typer.BadParameter(
                    f"{file}, line {reader.line_num}: {len(cells)} cells, but the header has "
                    f"{len(header)} columns"
                )
            row = zip(header, cells, strict=True)
            rows.append({name: _cell(name, cell, options) for name, cell in row})
    except csv.Error as error:
        raise typer.BadParameter(f"{file}, line {reader.line_num}: {error}") from error
    return rows


def _delimiter(text: str) -> str:
    """The delimiter that the first line holds most often: a comma if there is none."""
    first = text.lstrip().partition("\n")[0]
    return max(DELIMITERS, key=first.count)


def _cell(name: str, text: str, options: Mapping[str, str]) -> int | float | str | None:
    """Return the number that a CSV cell holds, None for a missing value, or else its text."""
    if text.strip() in _listed(options, "nulls"):
        return None
    if name in _listed(options, "text"):
        return text
    plain = text
    if separator := options.get("thousands"):
        spaces = separator if separator != " " else " \u00a0\u202f"
        groups = re.fullmatch(
            rf"(\s*[-+]?\d{{1,3}})((?:[{re.escape(spaces)}]\d{{3}})+)(\D.*)?", text
        )
        if groups:
            plain = groups[1] + re.sub(r"\D", "", groups[2]) + (groups[3] or "")
    if options.get("decimal") == ",":
        plain = "x" if "." in plain else plain.replace(",", ".", 1)
    for number in (int, float):
        try:
            return number(plain)
        except ValueError:
            continue
    return text


def _listed(options: Mapping[str, str], name: str) -> set[str]:
    return {part.strip() for part in options.get(name, "").split(",")} - {""}
