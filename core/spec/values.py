"""Whether what the columns hold suits the loss, the weights of samples and layers that read ids."""

from collections.abc import Iterator

from core.data.table.schema import MAX_CLASSES, ColumnSchema, DatasetSchema
from core.errors import FieldError
from core.nn.layers.embedding import Embedding
from core.nn.layers.flatten import Flatten
from core.nn.layers.reshape import Reshape
from core.spec.job import JobSpec


def refused_targets(spec: JobSpec, schema: DatasetSchema) -> Iterator[FieldError]:
    """What is wrong with the kinds and values of the target columns."""
    loss, names = spec.loss, spec.data.targets
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield FieldError("data.target", f"column {name!r} is named twice")
    if loss.target == "class" and len(names) > 1:
        yield FieldError(
            "data.target",
            f"{loss.kind} takes one target column; grouped_cross_entropy takes several",
        )
    for name in names:
        column = _known(spec, schema, name)
        yield from usable("data.target", column)
        wrong = _unsuitable(loss.kind, loss.target, column, exact=spec.data.query is None)
        if wrong:
            yield FieldError("data.target", f"column {name!r} {wrong}")


def _known(spec: JobSpec, schema: DatasetSchema, name: str) -> ColumnSchema:
    """The column; with a query, which may leave rows out, without what single rows hold."""
    column = schema.column(name)
    if spec.data.query is None:
        return column
    unknown = {"nulls": 0, "not_finite": 0, "minimum": None, "maximum": None}
    return column.model_copy(update=unknown)


def _unsuitable(kind: str, target: str, column: ColumnSchema, *, exact: bool) -> str | None:
    """Why a loss cannot take a column for its target, or None if it can.

    Not `exact`: a query may leave out some of the classes.
    """
    classes, lowest = column.classes, column.minimum
    if target in {"number", "distribution"}:
        if not column.numeric:
            return f"holds text; {kind} needs numbers"
        if lowest is not None and lowest < 0 and (kind == "poisson" or target == "distribution"):
            what = "counts" if kind == "poisson" else "shares of classes"
            return f"holds {lowest:g}; {kind} needs {what}, which are not below 0"
    elif target in {"class", "classes"}:
        if not classes:
            return _no_classes(column)
        if target == "classes" and len(classes) < 2:
            return f"has one value only; {kind} needs two classes or more"
    elif column.shape:
        if not column.numeric or lowest not in {0, None} or column.maximum not in {0, 1, None}:
            return f"holds {_range(column)}; {kind} needs zeros and ones"
    elif exact and not classes:
        return f"{_no_classes(column)}; {kind} needs two"
    elif exact and len(classes or ()) != 2:
        return f"has {len(classes or ())} distinct values; {kind} needs two"
    return None


def _no_classes(column: ColumnSchema) -> str:
    if column.dtype.startswith("float"):
        return (
            f"holds {_range(column)}, fractions among them or over {MAX_CLASSES} distinct values: "
            "classes are whole numbers or text"
        )
    return f"has over {MAX_CLASSES} distinct values: not classes"


def refused_weight(spec: JobSpec, schema: DatasetSchema) -> Iterator[FieldError]:
    """What is wrong with the column that says how much each row counts."""
    if spec.data.sample_weight is None:
        return
    path, column = "data.sample_weight", _known(spec, schema, spec.data.sample_weight)
    yield from usable(path, column)
    if not column.numeric or column.shape:
        yield FieldError(path, f"column {column.name!r} must hold one number in each row")
    elif column.minimum is not None and column.minimum < 0:
        yield FieldError(path, f"column {column.name!r} has weights below 0")
    elif column.maximum == 0:
        yield FieldError(path, f"column {column.name!r} has only weights of 0: no row would count")


def refused_ids(
    spec: JobSpec, schema: DatasetSchema, features: tuple[str, ...]
) -> Iterator[FieldError]:
    """What is wrong with the ids that an embedding right behind the features would read.

    What `data.prepare` makes of a column is not known here: then nothing is said.
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
            yield FieldError("data.standardize", f"must be false: {path} reads ids as they are")
        for column in (_known(spec, schema, name) for name in features):
            low, high = column.minimum, column.maximum
            if low is None or high is None or (low >= 0 and high < layer.vocabulary):
                continue
            remedy = f"it needs a vocabulary of {high + 1:.0f}" if low >= 0 else "renumber them"
            yield FieldError(
                f"network[{index}].vocabulary",
                f"column {column.name!r} holds {_range(column)}; {path} takes ids from 0 to "
                f"{layer.vocabulary - 1}: {remedy}",
            )
        return


def usable(path: str, column: ColumnSchema) -> Iterator[FieldError]:
    """Whether the column has a finite value everywhere."""
    if column.nulls:
        yield FieldError(path, f"column {column.name!r} has {column.nulls} empty cells")
    if column.not_finite:
        yield FieldError(path, f"column {column.name!r} has {column.not_finite} NaN or infinities")


def _range(column: ColumnSchema) -> str:
    if column.minimum is None or column.maximum is None:
        return "no numbers"
    return f"numbers from {column.minimum:g} to {column.maximum:g}"
