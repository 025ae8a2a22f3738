"""Check the values of columns: targets, sample weights and ids of embeddings."""

from collections.abc import Iterator

from core.data.table.schema import MAX_CLASSES, ColumnSchema, DatasetSchema
from core.errors import FieldError
from core.nn.layers.dense import Dense
from core.nn.layers.embedding import Embedding
from core.nn.layers.flatten import Flatten
from core.nn.layers.reshape import Reshape
from core.nn.loss import Loss
from core.spec.job import JobSpec

CALIBRATED = ("cross_entropy", "focal", "binary_cross_entropy", "binary_focal")
"""The losses whose logits `calibrate` divides."""


def check_targets(spec: JobSpec, schema: DatasetSchema) -> Iterator[FieldError]:
    """Yield errors of the target columns: kinds and values that the loss cannot use."""
    loss, names = spec.loss, spec.data.targets
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield FieldError("data.target", f"column {name!r} is listed twice")
    if loss.target == "class" and len(names) > 1:
        yield FieldError(
            "data.target",
            f"{loss.kind} takes one target column; grouped_cross_entropy takes several",
        )
    for name in names:
        column = _described(spec, schema, name)
        yield from missing_values("data.target", column, _filled_only(column))
        reason = _unsuitable(loss, column, exact=spec.data.query is None)
        if reason:
            yield FieldError("data.target", f"column {name!r} {reason}")


def check_calibration(spec: JobSpec) -> Iterator[FieldError]:
    """Yield errors of `calibrate`: it divides the logits of a last dense layer."""
    if spec.calibrate is None:
        return
    if spec.loss.kind not in CALIBRATED:
        message = f"{spec.loss.kind} cannot be calibrated; {', '.join(CALIBRATED)} can"
        yield FieldError("calibrate", message)
    elif not isinstance(spec.layers[-1], Dense):
        yield FieldError("calibrate", "the last layer must be dense")
    if not spec.data.split.shares["valid"]:
        yield FieldError("calibrate", "it needs validation rows: set data.split.valid")


def _described(spec: JobSpec, schema: DatasetSchema, name: str) -> ColumnSchema:
    """The column, with a query without its value range, because the query may exclude rows."""
    column = schema.column(name)
    if spec.data.query is None:
        return column
    unknown = {"nulls": 0, "not_finite": 0, "minimum": None, "maximum": None}
    return column.model_copy(update=unknown)


def _unsuitable(loss: Loss, column: ColumnSchema, *, exact: bool) -> str | None:
    """Why a column cannot be a target of `loss`, or None if it can.

    Unless `exact`, a query may exclude some of the classes.
    """
    if loss.target in {"number", "distribution"}:
        return _unsuitable_numbers(loss, column)
    if loss.target == "binary":
        return _unsuitable_binary(loss, column, exact=exact)
    if not column.classes:
        return _no_classes(column)
    if loss.target == "classes" and len(column.classes) < 2:
        return f"has one distinct value; {loss.kind} needs two classes or more"
    return None


def _unsuitable_numbers(loss: Loss, column: ColumnSchema) -> str | None:
    if not column.numeric:
        return f"holds text; {loss.kind} needs numbers"
    counts = loss.kind == "poisson"
    lowest = column.minimum
    if lowest is not None and lowest < 0 and (counts or loss.target == "distribution"):
        needed = "counts" if counts else "probabilities"
        return f"holds {lowest:g}; {loss.kind} needs {needed} of at least 0"
    return None


def _unsuitable_binary(loss: Loss, column: ColumnSchema, *, exact: bool) -> str | None:
    if column.shape:
        zeros_and_ones = column.minimum in {0, None} and column.maximum in {0, 1, None}
        if not column.numeric or not zeros_and_ones:
            return f"holds {_range(column)}; {loss.kind} needs zeros and ones"
    elif exact and not column.classes:
        return f"{_no_classes(column)}; {loss.kind} needs two"
    elif exact and len(column.classes or ()) != 2:
        return f"has {len(column.classes or ())} distinct values; {loss.kind} needs two"
    return None


def _no_classes(column: ColumnSchema) -> str:
    if column.dtype.startswith("float"):
        return (
            f"holds {_range(column)}, with fractions or over {MAX_CLASSES} distinct values: "
            "classes are integers or text"
        )
    return f"has over {MAX_CLASSES} distinct values, too many for classes"


def check_sample_weight(spec: JobSpec, schema: DatasetSchema) -> Iterator[FieldError]:
    """Yield errors of the column of sample weights."""
    if spec.data.sample_weight is None:
        return
    path, column = "data.sample_weight", _described(spec, schema, spec.data.sample_weight)
    yield from missing_values(path, column, _filled_only(column))
    if not column.numeric or column.shape:
        yield FieldError(path, f"column {column.name!r} must hold one number per row")
    elif column.minimum is not None and column.minimum < 0:
        yield FieldError(path, f"column {column.name!r} has weights below 0")
    elif column.maximum == 0:
        yield FieldError(path, f"column {column.name!r} has only weights of 0")


def check_ids(
    spec: JobSpec, schema: DatasetSchema, features: tuple[str, ...]
) -> Iterator[FieldError]:
    """Yield errors of ids that an embedding reads directly from the features.

    With `data.prepare` the values are not known here, so there are no errors.
    """
    if spec.data.prepare:
        return
    for index, layer in enumerate(spec.layers):
        if isinstance(layer, Flatten | Reshape):
            continue
        if not isinstance(layer, Embedding):
            return
        path = f"network[{index}] (embedding)"
        if spec.data.standardize:
            yield FieldError("data.standardize", f"must be false, because {path} reads the ids")
        for column in (_described(spec, schema, name) for name in features):
            low, high = column.minimum, column.maximum
            if low is None or high is None or (low >= 0 and high < layer.vocabulary):
                continue
            remedy = f"set vocabulary to {high + 1:.0f}" if low >= 0 else "renumber the ids"
            yield FieldError(
                f"network[{index}].vocabulary",
                f"column {column.name!r} holds {_range(column)}; {path} takes ids from 0 to "
                f"{layer.vocabulary - 1}: {remedy}",
            )
        return


def _filled_only(column: ColumnSchema) -> str:
    """How to leave out the rows with empty cells of a column."""
    return f'leave these rows out with data.query: "{column.name}":*'


def missing_values(path: str, column: ColumnSchema, remedy: str) -> Iterator[FieldError]:
    """Yield errors of a column with empty cells, for which there is a remedy, or with NaN."""
    if column.nulls:
        cells = f"{column.nulls} empty cell{'s' if column.nulls > 1 else ''}"
        yield FieldError(path, f"column {column.name!r} has {cells}: {remedy}")
    if column.not_finite:
        yield FieldError(path, f"column {column.name!r} has {column.not_finite} NaN or infinities")


def _range(column: ColumnSchema) -> str:
    if column.minimum is None or column.maximum is None:
        return "no numbers"
    return f"numbers from {column.minimum:g} to {column.maximum:g}"
