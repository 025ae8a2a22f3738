"""MLflow model folder: an ONNX file with signature, example and requirements.

The files are written without MLflow, whose import takes seconds and 170 MB. JSON is valid YAML, so
no YAML library is needed.
"""

import json
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import onnx

from core.export.model import Exported, Value, to_onnx
from core.training.model import TrainedModel

REQUIREMENTS = ("mlflow", "numpy", "onnx")
PROVIDERS = ("CPUExecutionProvider",)
_NUMPY = {"float": "float32", "double": "float64", "long": "int64", "boolean": "bool"}
ZEROS: dict[str, Any] = {"long": 0, "boolean": False, "string": ""}


def model_folder(
    model: TrainedModel,
    *,
    run_id: str | None = None,
    kinds: Mapping[str, str] | None = None,
    example: Mapping[str, Any] | None = None,
) -> dict[str, bytes]:
    """Return the contents of the files by name.

    `kinds` is as in `to_onnx`. `example` has typical values by column; others are zero. Raises
    InvalidError if the model cannot be exported to ONNX.
    """
    exported = to_onnx(model, kinds)
    row = _example(exported, example or {})
    payload = "dataframe_split" if exported.tabular else "inputs"
    requirements = _requirements(text=any(value.kind == "string" for value in exported.inputs))
    python = platform.python_version()
    return {
        "MLmodel": _json(_mlmodel(exported, run_id, python)),
        "model.onnx": exported.serialized(),
        "input_example.json": json.dumps(row).encode(),
        "serving_input_example.json": json.dumps({payload: row}).encode(),
        "requirements.txt": "\n".join([*requirements, ""]).encode(),
        "python_env.yaml": _json(
            {"python": python, "build_dependencies": [], "dependencies": ["-r requirements.txt"]}
        ),
        "conda.yaml": _json(
            {
                "name": "mlflow-env",
                "channels": ["conda-forge"],
                "dependencies": [f"python={python}", "pip", {"pip": requirements}],
            }
        ),
    }


def _mlmodel(exported: Exported, run_id: str | None, python: str) -> dict[str, Any]:
    kind = {"type": "dataframe", "pandas_orient": "split"}
    if not exported.tabular:
        kind = {"type": "ndarray"}
    document: dict[str, Any] = {
        "artifact_path": "model",
        "flavors": {
            "onnx": {
                "code": None,
                "data": "model.onnx",
                "onnx_session_options": None,
                "onnx_version": onnx.__version__,
                "providers": list(PROVIDERS),
            },
            "python_function": {
                "data": "model.onnx",
                "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
                "loader_module": "mlflow.onnx",
                "python_version": python,
            },
        },
        "mlflow_version": version("mlflow"),
        "saved_input_example_info": {
            "artifact_path": "input_example.json",
            "serving_input_path": "serving_input_example.json",
            **kind,
        },
        "signature": {
            "inputs": _signature(exported, exported.inputs),
            "outputs": _signature(exported, exported.outputs),
            "params": None,
        },
        "utc_time_created": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f"),
    }
    if run_id is not None:
        document["run_id"] = run_id
    return document


def _signature(exported: Exported, values: list[Value]) -> str:
    """Return a signature of columns if all values are scalars, else of tensors.

    A single input tensor has no name.
    """
    if exported.tabular and not any(value.shape for value in values):
        columns = [{"type": value.kind, "name": value.name, "required": True} for value in values]
        return json.dumps(columns)
    named = len(values) > 1 or values is exported.outputs
    tensors = []
    for value in values:
        # MLflow calls strings of any length `str`.
        spec = {"dtype": _NUMPY.get(value.kind, "str"), "shape": [-1, *value.shape]}
        tensor: dict[str, Any] = {"type": "tensor", "tensor-spec": spec}
        tensors.append({**tensor, "name": value.name} if named else tensor)
    return json.dumps(tensors)


def _example(exported: Exported, example: Mapping[str, Any]) -> Any:
    """Return one row in the format of MLflow's examples."""
    names = [value.name for value in exported.inputs]
    cells = [_cell(value, example) for value in exported.inputs]
    if exported.tabular:
        return {"columns": names, "data": [cells]}
    if len(names) == 1:
        return cells
    return dict(zip(names, ([cell] for cell in cells), strict=True))


def _cell(value: Value, example: Mapping[str, Any]) -> Any:
    cell: Any = example.get(value.name) if not value.shape else None
    if cell is None:
        cell = ZEROS.get(value.kind, 0.0)
    elif value.kind == "long":
        cell = round(cell)
    elif value.kind == "boolean":
        cell = cell > 0
    for extent in reversed(value.shape):
        cell = [cell] * extent
    return cell


def _requirements(*, text: bool) -> list[str]:
    """Return the packages that score the model; Chainrule is not among them.

    MLflow passes text columns to onnxruntime as pandas stores them, and onnxruntime refuses those
    of pandas 3.
    """
    pinned = [f"{name}=={version(name)}" for name in REQUIREMENTS]
    return [*pinned, "onnxruntime>=1.18", "pandas<3" if text else "pandas"]


def _json(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=2) + "\n").encode()
