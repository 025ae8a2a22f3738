"""Specs as JSON: their schema, and a first JobSpec for a dataset version."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chainrule.client.transport import Document

DIALECT = "https://json-schema.org/draft/2020-12/schema"
TARGETS = ("label", "target", "class", "y")
"""Names of columns that are taken for the target; otherwise it is the last column."""

MOST_NUMBERS = 20
"""Numbers with more distinct values are predicted as numbers, not as classes."""

ROWS_A_CLASS = 10
FEWEST_ROWS = 10
"""A smaller table is not split."""

_COMPONENTS = "#/components/schemas/"


def schema_of(openapi: Document, name: str) -> Document:
    """Return the JSON schema of a component of an OpenAPI document, with all that it refers to."""
    components = openapi["components"]["schemas"]
    needed = [name]
    for each in needed:  # grows while it is read
        needed += [other for other in _references(components[each]) if other not in needed]
    definitions = {each: components[each] for each in sorted(set(needed))}
    return {"$schema": DIALECT, "$ref": f"#/$defs/{name}", "$defs": _local(definitions)}


def dataset_name(file: str) -> str:
    """Return the name of a dataset for a file: its own without endings. Raises ValueError."""
    stem = Path(file).name.partition(".")[0]
    name = re.sub(r"[^A-Za-z0-9_\-]+", "-", stem).strip("-_")
    if not name:
        raise ValueError(f"{file!r} gives no name: add it with `dataset add` first")
    return name


def first_spec(version: Document, target: str | None = None) -> Document:
    """Return a JobSpec that trains on a dataset version as it is.

    The target is predicted as a class if it is text or has few distinct values. Columns that are
    features only if a job names them are left out. Raises ValueError if no column can be the
    target, or none is left.
    """
    columns = {column["name"]: column for column in version["columns"]}
    name = target or _target(columns)
    if name not in columns:
        raise ValueError(f"there is no column {name!r}; the columns are {', '.join(columns)}")
    classes = _classes(columns[name], version["rows"])
    features = [column for column in columns.values() if _is_feature(column, name, version)]
    if not features:
        raise ValueError("no column is left for the features")
    data: Document = {"target": name}
    if len(features) < len(columns) - 1:
        data["features"] = [column["name"] for column in features]
    if columns[name]["nulls"]:
        data["query"] = f'"{name}":*'
    if steps := list(_steps(features, _dates(version))):
        data["prepare"] = steps
    divided = version["rows"] >= FEWEST_ROWS
    shares = (0.8, 0.1, 0.1) if divided else (1, 0, 0)
    data["split"] = dict(zip(("train", "valid", "test"), shares, strict=True))
    spec: Document = {
        "experiment": version["name"],
        "dataset": f"{version['name']}@{version['version']}",
        "data": data,
        "network": _network(features, classes or _size(columns[name])),
        "loss": {"kind": "cross_entropy" if classes else "mean_squared_error"},
        "optimizer": {"kind": "adam", "learning_rate": 0.001},
        "epochs": 100,
        "seed": 7,
        "metrics": [{"kind": kind} for kind in (("accuracy",) if classes else ("r2", "mae"))],
    }
    if divided:
        spec["early_stopping"] = {"metric": "valid/loss", "patience": 10}
    return spec


def _target(columns: dict[str, Document]) -> str:
    named = [name for name in columns if name.lower() in TARGETS]
    return (named or list(columns))[-1]


def _classes(column: Document, rows: int) -> int | None:
    """The number of classes of a target; None for numbers. Raises ValueError for other text."""
    distinct = len(column["classes"] or ())
    if column["dtype"] == "string" and distinct < 2:
        raise ValueError(f"column {column['name']!r} is no target: it has one value, or too many")
    if column["dtype"] in ("string", "bool"):
        return max(2, distinct)
    few = 2 <= distinct <= min(MOST_NUMBERS, max(2, rows // ROWS_A_CLASS))
    return distinct if few and not column["shape"] else None


def _is_feature(column: Document, target: str, version: Document) -> bool:
    warnings = version.get("warnings", [])
    unnamed = {w["column"] for w in warnings if w["named_only"] and not _is_iso_date(w)}
    return (
        column["name"] != target
        and column["name"] not in unnamed
        and column["nulls"] < version["rows"]
        and (
            column["dtype"] != "string"
            or column["classes"] is not None
            or column["name"] in _dates(version)
        )
    )


def _dates(version: Document) -> set[str]:
    """The columns that hold dates."""
    return {w["column"] for w in version.get("warnings", []) if _is_iso_date(w)}


def _is_iso_date(warning: Document) -> bool:
    """Whether a warning is about a column of dates that begin with the year."""
    first = warning["examples"][0]["value"] if warning["examples"] else ""
    return warning["kind"] == "dates" and re.match(r"\s*\d{4}-", first) is not None


def _steps(features: list[Document], dates: set[str]) -> Iterator[Document]:
    """Steps that fill empty cells, and encode dates and text."""
    texts = [column for column in features if column["dtype"] == "string"]
    gaps = [column["name"] for column in texts if column["nulls"]]
    if gaps:
        yield {"kind": "impute", "strategy": "most_frequent", "columns": gaps}
    numbers = [column for column in features if column not in texts]
    if gaps := [c["name"] for c in numbers if c["nulls"] or c["not_finite"]]:
        yield {"kind": "impute", "strategy": "median", "columns": gaps}
    if days := [column["name"] for column in texts if column["name"] in dates]:
        yield {"kind": "date", "columns": days}
    if len(texts) > len(days):
        yield {"kind": "one_hot"}


def _network(features: list[Document], outputs: int) -> list[Document]:
    image = len(features) == 1 and len(features[0]["shape"]) > 1
    return [
        *([{"kind": "flatten"}] if image else []),
        {"kind": "dense", "units": 64},
        {"kind": "relu"},
        {"kind": "dense", "units": outputs},
    ]


def _size(column: Document) -> int:
    """The numbers in a cell."""
    size = 1
    for extent in column["shape"]:
        size *= extent
    return size


def _references(schema: Any) -> Iterator[str]:
    """The names of the components that a schema refers to."""
    for path in _paths(schema):
        yield path.removeprefix(_COMPONENTS)


def _paths(part: Any) -> Iterator[str]:
    if isinstance(part, str) and part.startswith(_COMPONENTS):
        yield part
    elif isinstance(part, dict | list):
        for inner in part.values() if isinstance(part, dict) else part:
            yield from _paths(inner)


def _local(part: Any) -> Any:
    """The schema with references to its own definitions."""
    if isinstance(part, str):
        return re.sub(f"^{re.escape(_COMPONENTS)}", "#/$defs/", part)
    if isinstance(part, dict):
        return {key: _local(value) for key, value in part.items()}
    return [_local(value) for value in part] if isinstance(part, list) else part
