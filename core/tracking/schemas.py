"""The schema of a dataset version in MLflow's format."""

import json
from collections.abc import Mapping
from typing import Any

MAX_CHARACTERS = 65_000
"""The longest schema that MLflow accepts."""

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
    """A DatasetSchema document as MLflow's `mlflow_colspec`, cut to the length it accepts.

    Where columns are left out, a last column says how many.
    """
    columns = [_column(column) for column in schema.get("columns", [])]
    text = json.dumps({"mlflow_colspec": columns})
    kept = len(columns)
    while len(text) > MAX_CHARACTERS:
        kept //= 2
        more = {"type": "string", "name": f"and {len(columns) - kept} more", "required": False}
        text = json.dumps({"mlflow_colspec": [*columns[:kept], more]})
    return text


def dataset_profile(schema: Mapping[str, Any]) -> str:
    """The number of rows and of values, as MLflow's `profile` of a dataset."""
    rows = int(schema.get("rows", 0))
    cells = sum(_size(column) for column in schema.get("columns", []))
    return json.dumps({"num_rows": rows, "num_elements": rows * cells})


def _column(column: Mapping[str, Any]) -> dict[str, Any]:
    named: dict[str, Any] = {"name": column["name"], "required": not column.get("nulls")}
    if column.get("shape"):
        shape = [-1, *column["shape"]]
        spec = {"dtype": column["dtype"], "shape": shape}
        return {"type": "tensor", "tensor-spec": spec, **named}
    return {"type": _TYPES.get(str(column["dtype"]), "string"), **named}


def _size(column: Mapping[str, Any]) -> int:
    size = 1
    for extent in column.get("shape", ()):
        size *= int(extent)
    return size
