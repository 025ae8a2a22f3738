"""EvaluationSpec and ScoringSpec: the input of jobs that apply a trained model."""

from collections.abc import Iterator
from typing import Annotated, Literal, TypeAlias

from pydantic import ConfigDict, Field

from core.data.prepare.preparation import ColumnName
from core.data.table.schema import ColumnSchema, DatasetSchema
from core.errors import FieldError, InvalidError
from core.spec.admission import feature_names
from core.spec.base import MostAttempts, Name, Priority, Spec, Tags
from core.spec.job import DatasetReference, JobSpec

BOOLEAN = "bool"
ROW = "row"
PREDICTION = "prediction"
PROBABILITY = "probability_"
INTERVAL = "interval_"
"""Names, and prefixes of names, of the columns of scored rows."""


Level: TypeAlias = Annotated[
    float,
    Field(
        gt=0,
        lt=1,
        examples=[0.9],
        description="for a regression: add an interval that contains the true value with this "
        "probability, calibrated on the rows held out in training",
    ),
]


class InferenceSpec(Spec):
    """Fields of jobs that apply a model. They run on workers of the CPU queue."""

    dataset: DatasetReference = Field(
        description="`name@3`, `name@alias`, or `name` for the latest version"
    )
    name: Name | None = Field(None, description="default: derived from the model and the dataset")
    tags: Tags = Field(default_factory=dict)
    priority: Priority = 0
    max_attempts: MostAttempts = None


class EvaluationSpec(InferenceSpec):
    """Evaluation of a model on a dataset version, overall and by slices."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"dataset": "digits@1", "slices": ["label"]}]}
    )

    slices: Annotated[
        tuple[ColumnName, ...],
        Field(
            max_length=10,
            description="columns; the metrics are also computed for each of their values",
        ),
    ] = ()


class ScoringSpec(InferenceSpec):
    """Prediction for all rows of a dataset version, written to a file."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"dataset": "digits@1", "keep": ["label"], "probabilities": True}]
        }
    )

    keep: Annotated[
        tuple[ColumnName, ...],
        Field(max_length=100, description="columns to copy to the file, such as an id"),
    ] = ()
    probabilities: bool = Field(False, description="add the probability of each label")
    interval: Level | None = None
    format: Literal["parquet", "csv"] = "parquet"


Inference: TypeAlias = EvaluationSpec | ScoringSpec


def check(spec: Inference, trained: JobSpec, learned: DatasetSchema, data: DatasetSchema) -> None:
    """Raise InvalidError with each field that does not fit data of the schema `data`.

    The model was trained by the spec `trained` on data of the schema `learned`.
    """
    needed = list(feature_names(trained, learned))
    if isinstance(spec, EvaluationSpec):
        needed += trained.data.targets
    errors = list(_missing_columns(needed, learned, data))
    if isinstance(spec, ScoringSpec):
        errors += _unsupported_outputs(spec, regression=trained.loss.target == "number")
    columns = {column.name: column for column in data.columns}
    requested = spec.slices if isinstance(spec, EvaluationSpec) else spec.keep
    path = "slices" if isinstance(spec, EvaluationSpec) else "keep"
    for index, name in enumerate(requested):
        if name not in columns:
            known = ", ".join(data.names[:20])
            message = f"{name!r} is not a column; the columns are {known}"
            errors.append(FieldError(f"{path}[{index}]", message))
        elif path == "slices" and columns[name].shape:
            message = f"column {name!r} holds arrays of shape {columns[name].shape}"
            errors.append(FieldError(f"slices[{index}]", message))
        elif path == "keep" and (name in (ROW, PREDICTION) or name.startswith(_RESERVED)):
            message = f"{name!r} is reserved for predictions: rename the column in the data"
            errors.append(FieldError(f"keep[{index}]", message))
    if errors:
        raise InvalidError.of(*errors)


_RESERVED = (f"{PREDICTION}_", PROBABILITY, INTERVAL)


def _unsupported_outputs(spec: ScoringSpec, *, regression: bool) -> Iterator[FieldError]:
    """Requested outputs that this kind of model does not have."""
    if regression and spec.probabilities:
        message = "a regression has no probabilities: request an interval"
        yield FieldError("probabilities", message)
    if not regression and spec.interval is not None:
        yield FieldError("interval", "only a regression has intervals: request probabilities")


def _missing_columns(
    needed: list[str], learned: DatasetSchema, data: DatasetSchema
) -> Iterator[FieldError]:
    """Columns of the model that the data does not have, or has with another type."""
    columns = {column.name: column for column in data.columns}
    for name in needed:
        expected = learned.column(name)
        if name not in columns:
            yield FieldError("dataset", f"the model needs a column {name!r}, which is missing")
        elif not _fits(columns[name], expected):
            actual = _content(columns[name])
            message = f"column {name!r} holds {actual}, the model needs {_content(expected)}"
            yield FieldError("dataset", message)


def _fits(column: ColumnSchema, expected: ColumnSchema) -> bool:
    """Whether the types are equal; numbers also fit true and false."""
    same = (column.shape, column.numeric) == (expected.shape, expected.numeric)
    return same and (column.dtype != BOOLEAN or expected.dtype == BOOLEAN)


def _content(column: ColumnSchema) -> str:
    kind = "numbers" if column.numeric else "text"
    kind = "true and false" if column.dtype == BOOLEAN else kind
    return f"{kind} of shape {column.shape}" if column.shape else kind
