"""The columns of a dataset version in the words of MLflow, as its pages show them."""

import json
from collections.abc import Mapping
from typing import Any

MOST_CHARACTERS = 65_000
"""MLflow refuses longer schemas."""

_TYPES = {
    "bool": "boolean",
    "int8": "integer",
    "int16": "integer",
    "int32": "integer",
    "uint8": "integer",
    "uint16": "integer",
    "int64": "long",
    "uint32": "long",
    "uint64": "long",
    "float16": "float",
    "float32": "float",
    "float64": "double",
    "string": "string",
}


def dataset_schema(schema: Mapping[str, Any]) -> str:
    """A DatasetSchema document as MLflow's `mlflow_colspec`, cut to what MLflow takes.

    A column that does not fit any more is left out, and the last ones say so.
    """
    columns = [_column(column) for column in schema.get("columns", [])]
    text = json.dumps({"mlflow_colspec": columns})
    kept = len(columns)
    while len(text) > MOST_CHARACTERS:
        kept //= 2
        more = {"type": "string", "name": f"and {len(columns) - kept} more", "required": False}
        text = json.dumps({"mlflow_colspec": [*columns[:kept], more]})
    return text


def dataset_profile(schema: Mapping[str, Any]) -> str:
    """How many rows and numbers there are, as MLflow's pages count them."""
    rows = int(schema.get("rows", 0))
    cells = sum(_size(column) for column in schema.get("columns", []))
    return json.dumps({"num_rows": rows, "num_elements": rows * cells})


def _column(column: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"name": column["name"], "required": not column.get("nulls")}
    if column.get("shape"):
        shape = [-1, *column["shape"]]
        spec = {"dtype": column["dtype"], "shape": shape}
        return {"type": "tensor", "tensor-spec": spec, **found}
    return {"type": _TYPES.get(str(column["dtype"]), "string"), **found}


def _size(column: Mapping[str, Any]) -> int:
    size = 1
    for extent in column.get("shape", ()):
        size *= int(extent)
    return size
