"""What a client asks of a trained model: to be measured on a dataset version, or to answer it."""

from collections.abc import Iterator
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

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
"""How columns of scored rows are called, or begin."""


Level: TypeAlias = Annotated[
    float,
    Field(
        gt=0,
        lt=1,
        examples=[0.9],
        description="of a regression also an interval that holds the truth with this chance, as "
        "found on the rows held out in training",
    ),
]


class InferenceSpec(Spec):
    """What jobs that use a model have in common. They run where networks are trained on CPUs."""

    dataset: DatasetReference = Field(description="`name@3`, `name@alias`, or `name`: the latest")
    name: Name | None = Field(None, description="by default made from the model and the dataset")
    tags: Tags
    priority: Priority = 0
    max_attempts: MostAttempts = None


class EvaluationSpec(InferenceSpec):
    """On which dataset version a model is measured, overall and slice by slice."""

    slices: Annotated[
        tuple[ColumnName, ...],
        Field(max_length=10, description="columns; their values are measured one by one"),
    ] = ()


class ScoringSpec(InferenceSpec):
    """For the rows of which dataset version a model answers, and what the file of answers has."""

    keep: Annotated[
        tuple[ColumnName, ...],
        Field(max_length=100, description="columns to write beside each answer, such as an id"),
    ] = ()
    probabilities: bool = Field(False, description="also the probability of each label")
    interval: Level | None = None
    format: Literal["parquet", "csv"] = "parquet"


Inference: TypeAlias = EvaluationSpec | ScoringSpec


def check(spec: Inference, trained: JobSpec, learned: DatasetSchema, data: DatasetSchema) -> None:
    """Raise InvalidError with the path of all that cannot work on data of the schema `data`.

    The model was trained by the spec `trained` on data of the schema `learned`.
    """
    needed = list(feature_names(trained, learned))
    if isinstance(spec, EvaluationSpec):
        needed += trained.data.targets
    errors = list(_lacking(needed, learned, data))
    if isinstance(spec, ScoringSpec):
        errors += _unsure(spec, regression=trained.loss.target == "number")
    columns = {column.name: column for column in data.columns}
    named = spec.slices if isinstance(spec, EvaluationSpec) else spec.keep
    path = "slices" if isinstance(spec, EvaluationSpec) else "keep"
    for index, name in enumerate(named):
        if name not in columns:
            known = ", ".join(data.names[:20])
            message = f"{name!r} is not a column; the columns are {known}"
            errors.append(FieldError(f"{path}[{index}]", message))
        elif path == "slices" and columns[name].shape:
            message = f"column {name!r} holds arrays of shape {columns[name].shape}"
            errors.append(FieldError(f"slices[{index}]", message))
        elif path == "keep" and (name in (ROW, PREDICTION) or name.startswith(_OURS)):
            message = f"a column of answers may be called {name!r}: rename it in the data"
            errors.append(FieldError(f"keep[{index}]", message))
    if errors:
        raise InvalidError("; ".join(f"{one.path}: {one.message}" for one in errors), errors)


_OURS = (f"{PREDICTION}_", PROBABILITY, INTERVAL)


def _unsure(spec: ScoringSpec, *, regression: bool) -> Iterator[FieldError]:
    """What was asked for of how sure the answers are, and this kind of model cannot say."""
    if regression and spec.probabilities:
        message = "a regression has no probabilities: ask for an interval"
        yield FieldError("probabilities", message)
    if not regression and spec.interval is not None:
        yield FieldError("interval", "only a regression has intervals: ask for probabilities")


def _lacking(
    needed: list[str], learned: DatasetSchema, data: DatasetSchema
) -> Iterator[FieldError]:
    """Columns of the model that the data does not have, or has as something else."""
    found = {column.name: column for column in data.columns}
    for name in needed:
        wanted = learned.column(name)
        if name not in found:
            yield FieldError("dataset", f"the model needs a column {name!r}, which is missing")
        elif not _fits(found[name], wanted):
            message = f"column {name!r} holds {_form(found[name])}, the model needs {_form(wanted)}"
            yield FieldError("dataset", message)


def _fits(column: ColumnSchema, wanted: ColumnSchema) -> bool:
    """Numbers may stand for true and false, not the other way round."""
    same = (column.shape, column.numeric) == (wanted.shape, wanted.numeric)
    return same and (column.dtype != BOOLEAN or wanted.dtype == BOOLEAN)


def _form(column: ColumnSchema) -> str:
    kind = "numbers" if column.numeric else "text"
    kind = "true and false" if column.dtype == BOOLEAN else kind
    return f"{kind} of shape {column.shape}" if column.shape else kind
