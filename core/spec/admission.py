"""Check a spec against the schema of its dataset, before the job is queued."""

import math
from collections.abc import Container, Iterable, Iterator, Mapping

from core.data.prepare.plan import objections, plan
from core.data.prepare.preparation import Feature
from core.data.table import query, row_filter
from core.data.table.column_warnings import ColumnWarning, named_only
from core.data.table.schema import ColumnSchema, DatasetSchema
from core.errors import FieldError, InvalidError
from core.nn.array import Shape
from core.nn.layer import ShapeError
from core.nn.layers.sigmoid import Sigmoid
from core.nn.layers.softmax import Softmax
from core.nn.losses.grouped_cross_entropy import GroupedCrossEntropy
from core.nn.network import LayerError
from core.spec.defaults import filled
from core.spec.job import JobSpec
from core.spec.training import BATCH_SIZE
from core.spec.values import (
    check_calibration,
    check_ids,
    check_sample_weight,
    check_targets,
    missing_values,
)

BYTES = {"float32": 4, "float64": 8}
"""Bytes of a number by precision."""

_FILL = 'fill empty cells with {"kind": "impute"} in data.prepare'
_FILL_TEXT = 'fill empty cells with {"kind": "impute", "strategy": "most_frequent"} in data.prepare'


def admit(
    spec: JobSpec,
    schema: DatasetSchema,
    max_weights_bytes: int,
    warnings: Iterable[ColumnWarning] = (),
) -> JobSpec:
    """Return a submitted job as it is stored, with all defaults. Raises InvalidError as `check`."""
    warnings = tuple(warnings)
    spec = filled(spec, schema, warnings)
    check(spec, schema, max_weights_bytes, warnings)
    return spec


def check(
    spec: JobSpec,
    schema: DatasetSchema,
    max_weights_bytes: int,
    warnings: Iterable[ColumnWarning] = (),
) -> None:
    """Raise InvalidError with each field that does not fit data of `schema`.

    `warnings` are those of the dataset version: some columns must be named to be features.
    """
    errors = list(_columns(spec, schema, _unnamed(spec, schema, named_only(warnings))))
    if not errors:
        errors = [*_rows(spec, schema), *_network(spec, schema, max_weights_bytes)]
        errors += [*check_targets(spec, schema), *check_sample_weight(spec, schema)]
        errors += [*check_ids(spec, schema, feature_names(spec, schema)), *_metrics(spec)]
        errors += check_calibration(spec)
    if errors:
        raise InvalidError.of(*errors)


def feature_names(spec: JobSpec, schema: DatasetSchema) -> tuple[str, ...]:
    """Return the feature columns in order."""
    apart = spec.data.apart
    return spec.data.features or tuple(n for n in schema.names if n not in apart)


def input_shape(spec: JobSpec, schema: DatasetSchema) -> Shape:
    """Return the feature shape of a row: a single tensor column keeps its shape, others are joined.

    Raises InvalidError for unknown columns.
    """
    columns = prepared(spec, schema)
    if len(columns) == 1 and columns[0].shape:
        return columns[0].shape
    return (sum(math.prod(column.shape) for column in columns),)


def raw(spec: JobSpec, schema: DatasetSchema) -> list[Feature]:
    """Return the feature columns before preparation. Raises InvalidError for unknown columns."""
    columns = [schema.column(name) for name in feature_names(spec, schema)]
    return [
        Feature(
            column.name,
            column.shape,
            text=not column.numeric,
            # A query may exclude the rows with gaps.
            gaps=bool(column.nulls or column.not_finite) and spec.data.query is None,
            classes=None if column.classes is None else len(column.classes),
        )
        for column in columns
    ]


def prepared(spec: JobSpec, schema: DatasetSchema) -> tuple[Feature, ...]:
    """Return the feature columns after `data.prepare`, with the maximum width of encoded ones.

    Raises InvalidError for steps that do not fit.
    """
    return plan(spec.data.prepare, raw(spec, schema)).features


def _unnamed(
    spec: JobSpec, schema: DatasetSchema, flagged: Mapping[str, ColumnWarning]
) -> dict[str, ColumnWarning]:
    """The warnings about columns that are features by default only."""
    if spec.data.features is not None:
        return {}
    named = {name for step in spec.data.prepare for name in step.columns}
    names = (name for name in feature_names(spec, schema) if name not in named)
    return {name: flagged[name] for name in names if name in flagged}


def _columns(
    spec: JobSpec, schema: DatasetSchema, unnamed: Mapping[str, ColumnWarning]
) -> Iterator[FieldError]:
    """Columns that do not exist or cannot be used as the spec says."""
    for path, column in _used_columns(spec):
        if column not in schema.names:
            yield _unknown_column(path, column, schema)
    for field in ("column", "group_by", "stratify_by", "order_by"):
        column = getattr(spec.data.split, field)
        if column is not None:
            yield from _split_column(spec, schema, f"data.split.{field}", column)
    names = feature_names(spec, schema)
    if not names:
        yield FieldError("data.features", "no column is left for the features")
    for name in (name for name in names if name in spec.data.targets):
        yield FieldError("data.features", f"{name!r} is the target and cannot be a feature")
    if spec.data.query is not None:
        try:
            row_filter.check(query.parse(spec.data.query), schema)
        except InvalidError as error:
            yield FieldError("data.query", error.detail)
    yield from map(_must_be_named, unnamed.values())
    if all(name in schema.names for name in names):
        yield from _preparation(spec, schema, unnamed)


def _must_be_named(warning: ColumnWarning) -> FieldError:
    message = (
        f"column {warning.column!r} {warning.message}. It is a feature only if you name it: list "
        "the features, with or without it, or name it in a step of data.prepare"
    )
    return FieldError("data.features", message)


def _used_columns(spec: JobSpec) -> Iterator[tuple[str, str]]:
    """The path and name of each column that the spec names, except those of the split."""
    for name in spec.data.targets:
        yield "data.target", name
    for index, name in enumerate(spec.data.features or ()):
        yield f"data.features[{index}]", name
    if spec.data.sample_weight is not None:
        yield "data.sample_weight", spec.data.sample_weight


def _unknown_column(path: str, name: str, schema: DatasetSchema) -> FieldError:
    known = ", ".join(schema.names[:20]) + (" ..." if len(schema.names) > 20 else "")
    return FieldError(path, f"{name!r} is not a column; the columns are {known}")


def _split_column(
    spec: JobSpec, schema: DatasetSchema, path: str, name: str
) -> Iterator[FieldError]:
    if name not in schema.names:
        yield _unknown_column(path, name, schema)
        return
    column = schema.column(name)
    if column.shape:
        yield FieldError(path, f"column {name!r} holds arrays of shape {column.shape}")
    elif path.endswith("order_by") and column.nulls and spec.data.query is None:
        yield FieldError(path, f"column {name!r} has {column.nulls} empty cells: no order")
    elif path.endswith("column") and spec.data.query is None:
        shares = spec.data.split.dealt
        absent = [part for part, share in shares.items() if share and part not in _values(column)]
        for part in absent:
            remedy = "" if part == "train" else f"; otherwise set split.{part} to 0"
            yield FieldError(path, f"no row has {part!r} in column {name!r}{remedy}")


def _values(column: ColumnSchema) -> tuple[object, ...]:
    """The distinct values of a column; the parts of a split if too many to be listed."""
    return ("train", "valid", "test") if column.classes is None else column.classes


def _preparation(
    spec: JobSpec, schema: DatasetSchema, unnamed: Container[str]
) -> Iterator[FieldError]:
    """Steps that do not fit, and features with gaps or text after the last step."""
    try:
        features = prepared(spec, schema)
    except InvalidError as error:
        yield from error.errors
        return
    yield from objections(spec.data.prepare, raw(spec, schema))
    for feature in features:
        if feature.gaps:
            column = schema.column(feature.name)
            text = column.dtype == "string"
            yield from missing_values("data.features", column, _FILL_TEXT if text else _FILL)
        if feature.text and feature.name not in unnamed:
            yield FieldError(
                "data.features",
                f"column {feature.name!r} holds text: encode it with a one_hot, ordinal, hashing, "
                "date or bag_of_words step in data.prepare, or set data.features without it",
            )


def _rows(spec: JobSpec, schema: DatasetSchema) -> Iterator[FieldError]:
    split = spec.data.split
    parts = split.shares
    for name, share in parts.items():
        if share and schema.rows < sum(1 for other in parts.values() if other):
            yield FieldError(f"data.split.{name}", f"no row of {schema.rows} is left for this part")
    if split.fold is not None and schema.rows < split.fold.of:
        yield FieldError(
            "data.split.fold.of", f"{schema.rows} rows are too few for {split.fold.of} folds"
        )
    training = round(schema.rows * parts["train"])
    if (
        spec.data.query is None
        and split.column is None
        and isinstance(spec.batch_size, int)
        and spec.batch_size > max(BATCH_SIZE, training)
    ):
        yield FieldError(
            "batch_size", f"{spec.batch_size} is more than the {training} training rows; use `full`"
        )
    stop = spec.early_stopping
    if stop and stop.metric not in reported(spec):
        known = ", ".join(sorted(reported(spec)))
        yield FieldError(
            "early_stopping.metric", f"{stop.metric!r} is not reported; reported are {known}"
        )


def reported(spec: JobSpec) -> set[str]:
    """Return the names of the numbers that this job reports in each epoch."""
    parts = ["train", "valid"] if spec.data.split.shares["valid"] else ["train"]
    return {f"{part}/{name}" for part in parts for name in single_numbers(spec)}


def single_numbers(spec: JobSpec) -> set[str]:
    """Return the names of the loss and of the metrics that are single numbers."""
    return {"loss", *(metric.name for metric in spec.metrics if not metric.table)}


def _network(spec: JobSpec, schema: DatasetSchema, max_bytes: int) -> Iterator[FieldError]:
    shape = input_shape(spec, schema)
    try:
        size = spec.network.size(shape) * BYTES[spec.precision]
        output = spec.network.output(shape)
    except LayerError as error:
        yield FieldError(f"network{error.path}", str(error))
        return
    for index, augmentation in enumerate(spec.data.augment):
        if (reason := augmentation.objection(shape)) is not None:
            yield FieldError(f"data.augment[{index}]", f"{augmentation.kind} {reason}")
    if size > max_bytes:
        yield FieldError(
            "network",
            f"the weights take {size:,} bytes; the limit is {max_bytes:,} bytes: make "
            f"{_largest(spec, shape)} smaller, or ask the operator to raise the limit",
        )
    last = len(spec.layers) - 1
    if isinstance(spec.layers[-1], Softmax | Sigmoid) and spec.loss.target != "number":
        yield FieldError(
            f"network[{last}]",
            f"{spec.loss.kind} takes logits: remove the last {spec.layers[-1].kind}",
        )
    expected = expected_output(spec, schema)
    if expected is not None and math.prod(output) != expected:
        places = spec.network.places(shape)
        field = next(
            (f"network{p.path}.units" for p in reversed(places) if hasattr(p.layer, "units")),
            f"network[{last}]",
        )
        yield FieldError(
            field,
            f"the network has {math.prod(output)} outputs of shape {output}; "
            f"{_reason(spec, expected)}"
            + (": add a flatten or pooling layer" if len(output) > 1 else ""),
        )
        return
    if isinstance(spec.loss, GroupedCrossEntropy):
        classes = tuple(len(schema.column(name).classes or ()) for name in spec.data.targets)
        if spec.data.query is None and spec.loss.groups != classes:
            yield FieldError(
                "loss.groups",
                f"got {list(spec.loss.groups)}, but the targets have {list(classes)} classes",
            )
            return
    try:
        spec.loss.check(output)
    except ShapeError as error:
        yield FieldError("loss", str(error))


def _largest(spec: JobSpec, shape: Shape) -> str:
    """The path and kind of the layer with the most weights."""
    by_size = {
        f"network{place.path} ({place.layer.kind})": sum(
            math.prod(weight.shape) for weight in place.layer.weights(place.shape).values()
        )
        for place in spec.network.places(shape)
    }
    return max(by_size, key=lambda name: by_size[name])


def _reason(spec: JobSpec, expected: int) -> str:
    targets = ", ".join(map(repr, spec.data.targets[:5]))
    unit = "classes" if spec.loss.target in {"class", "classes"} else "numbers"
    return f"the target {targets} needs {expected} ({expected} {unit})"


def expected_output(spec: JobSpec, schema: DatasetSchema) -> int | None:
    """Return the number of outputs that the targets need, or None if it is not known yet."""
    columns = [schema.column(name) for name in spec.data.targets]
    if spec.loss.target in {"class", "classes"} and spec.data.query is not None:
        return None  # depends on the selected rows
    if spec.loss.target == "class":
        return len(columns[0].classes) if columns[0].classes else None
    if spec.loss.target == "classes":
        return sum(len(column.classes or ()) for column in columns)
    return sum(column.size for column in columns)


def _metrics(spec: JobSpec) -> Iterator[FieldError]:
    for index, metric in enumerate(spec.metrics):
        if not metric.reads(spec.loss.observes()):
            needed = "class or binary" if metric.target == "any" else metric.target
            yield FieldError(
                f"metrics[{index}]",
                f"{metric.kind} needs {needed} targets; {spec.loss.kind} has "
                f"{spec.loss.target} targets",
            )
    names = [metric.name for metric in spec.metrics]
    for index, name in enumerate(names):
        if name in names[:index]:
            yield FieldError(f"metrics[{index}]", f"{name} is requested twice")
