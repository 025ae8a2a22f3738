"""Whether a spec fits the data it names: found out by arithmetic, before anything is queued."""

from collections.abc import Iterator

from core.data.prepare.plan import objections, plan
from core.data.prepare.preparation import Feature
from core.data.table import query, row_filter
from core.data.table.schema import ColumnSchema, DatasetSchema
from core.errors import FieldError, InvalidError
from core.nn.array import Shape
from core.nn.layer import ShapeError
from core.nn.layers.sigmoid import Sigmoid
from core.nn.layers.softmax import Softmax
from core.nn.losses.grouped_cross_entropy import GroupedCrossEntropy
from core.nn.network import LayerError
from core.spec.job import JobSpec
from core.spec.training import BATCH_SIZE
from core.spec.values import refused_ids, refused_targets, refused_weight, usable

BYTES = {"float32": 4, "float64": 8}
READ = {"any": "class or binary"}
"""What a metric that reads any labels needs, in words."""


def check(spec: JobSpec, schema: DatasetSchema, max_weights_bytes: int) -> None:
    """Raise InvalidError with the path of every field that cannot work on data of `schema`."""
    errors = list(_columns(spec, schema))
    if not errors:
        errors = [*_rows(spec, schema), *_network(spec, schema, max_weights_bytes)]
        errors += [*refused_targets(spec, schema), *refused_weight(spec, schema)]
        errors += [*refused_ids(spec, schema, feature_names(spec, schema)), *_metrics(spec)]
    if errors:
        raise InvalidError("; ".join(f"{e.path}: {e.message}" for e in errors), errors)


def feature_names(spec: JobSpec, schema: DatasetSchema) -> tuple[str, ...]:
    """The columns that go in, in order."""
    apart = spec.data.apart
    return spec.data.features or tuple(n for n in schema.names if n not in apart)


def input_shape(spec: JobSpec, schema: DatasetSchema) -> Shape:
    """The feature shape of one row: a single tensor column keeps its own, others lie side by side.

    Raises InvalidError for a column that is not there.
    """
    columns = prepared(spec, schema)
    if len(columns) == 1 and columns[0].shape:
        return columns[0].shape
    return (sum(_size(column.shape) for column in columns),)


def raw(spec: JobSpec, schema: DatasetSchema) -> list[Feature]:
    """The feature columns before preparation. Raises InvalidError for one that is not there."""
    columns = [schema.column(name) for name in feature_names(spec, schema)]
    return [
        Feature(
            column.name,
            column.shape,
            text=not column.numeric,
            # A query may leave the rows out that have them.
            gaps=bool(column.nulls or column.not_finite) and spec.data.query is None,
            classes=None if column.classes is None else len(column.classes),
        )
        for column in columns
    ]


def prepared(spec: JobSpec, schema: DatasetSchema) -> tuple[Feature, ...]:
    """The feature columns as `data.prepare` leaves them; encoded ones at most as wide as this.

    Raises InvalidError for a step that does not fit.
    """
    return plan(spec.data.prepare, raw(spec, schema)).features


def _columns(spec: JobSpec, schema: DatasetSchema) -> Iterator[FieldError]:
    known = ", ".join(schema.names[:20]) + (" ..." if len(schema.names) > 20 else "")
    wanted = [("data.target", name) for name in spec.data.targets]
    wanted += [(f"data.features[{i}]", name) for i, name in enumerate(spec.data.features or ())]
    if spec.data.sample_weight is not None:
        wanted.append(("data.sample_weight", spec.data.sample_weight))
    for path, name in wanted:
        if name not in schema.names:
            yield FieldError(path, f"{name!r} is not a column; the columns are {known}")
    for path in ("column", "group_by", "stratify_by"):
        name = getattr(spec.data.split, path)
        if name is not None:
            yield from _split_column(spec, schema, f"data.split.{path}", name, known)
    names = feature_names(spec, schema)
    if not names:
        yield FieldError("data.features", "no column is left to go in")
    for name in names:
        if name in spec.data.targets:
            yield FieldError("data.features", f"{name!r} is the target and cannot go in as well")
    if spec.data.query is not None:
        try:
            row_filter.check(query.parse(spec.data.query), schema)
        except InvalidError as error:
            yield FieldError("data.query", error.detail)
    if all(name in schema.names for name in names):
        yield from _preparation(spec, schema)


def _split_column(
    spec: JobSpec, schema: DatasetSchema, path: str, name: str, known: str
) -> Iterator[FieldError]:
    if name not in schema.names:
        yield FieldError(path, f"{name!r} is not a column; the columns are {known}")
        return
    column = schema.column(name)
    if column.shape:
        yield FieldError(path, f"column {name!r} holds arrays of shape {column.shape}")
    elif path.endswith("column") and spec.data.query is None:
        shares = spec.data.split.dealt
        lacking = [part for part, share in shares.items() if share and part not in _words(column)]
        for part in lacking:
            remedy = "" if part == "train" else f", or say split.{part} 0"
            yield FieldError(path, f"no row has {part!r} in column {name!r}{remedy}")


def _words(column: ColumnSchema) -> tuple[object, ...]:
    """The distinct values of a column; those of a split if they are too many to be known."""
    return ("train", "valid", "test") if column.classes is None else column.classes


def _preparation(spec: JobSpec, schema: DatasetSchema) -> Iterator[FieldError]:
    """Steps that do not fit, and columns that are still no whole numbers after the last."""
    try:
        features = prepared(spec, schema)
    except InvalidError as error:
        yield from error.errors
        return
    yield from objections(spec.data.prepare, raw(spec, schema))
    for feature in features:
        if feature.gaps:
            yield from usable("data.features", schema.column(feature.name))
        if feature.text:
            yield FieldError(
                "data.features",
                f"column {feature.name!r} holds text: encode it with a one_hot, ordinal or hashing "
                "step in data.prepare, or name the columns that go in",
            )


def _rows(spec: JobSpec, schema: DatasetSchema) -> Iterator[FieldError]:
    split = spec.data.split
    parts = split.shares
    for name, share in parts.items():
        if share and schema.rows < sum(1 for other in parts.values() if other):
            yield FieldError(f"data.split.{name}", f"no row is left of {schema.rows}")
    if split.fold is not None and schema.rows < split.fold.of:
        yield FieldError("data.split.fold.of", f"{schema.rows} rows are too few for so many folds")
    training = round(schema.rows * parts["train"])
    if (
        spec.data.query is None
        and split.column is None
        and isinstance(spec.batch_size, int)
        and spec.batch_size > max(BATCH_SIZE, training)
    ):
        yield FieldError(
            "batch_size", f"{spec.batch_size} is more than the {training} training rows; say `full`"
        )
    stop = spec.early_stopping
    if stop and stop.metric not in reported(spec):
        known = ", ".join(sorted(reported(spec)))
        yield FieldError(
            "early_stopping.metric", f"{stop.metric!r} is not reported; there: {known}"
        )


def reported(spec: JobSpec) -> set[str]:
    """The metrics that every epoch of this job reports as one number."""
    parts = ["train", "valid"] if spec.data.split.shares["valid"] else ["train"]
    return {f"{part}/{name}" for part in parts for name in single_numbers(spec)}


def single_numbers(spec: JobSpec) -> set[str]:
    """The loss and the metrics that are one number, by which networks can be compared."""
    return {"loss", *(metric.name for metric in spec.metrics if not metric.table)}


def _network(spec: JobSpec, schema: DatasetSchema, max_bytes: int) -> Iterator[FieldError]:
    shape = input_shape(spec, schema)
    try:
        size = spec.network.size(shape) * BYTES[spec.precision]
        output = spec.network.output(shape)
    except LayerError as error:
        yield FieldError(f"network{error.path}", str(error))
        return
    for index, one in enumerate(spec.data.augment):
        if (reason := one.objection(shape)) is not None:
            yield FieldError(f"data.augment[{index}]", f"{one.kind} {reason}")
    if size > max_bytes:
        yield FieldError(
            "network",
            f"its weights take {size:,} bytes; the limit is {max_bytes:,} bytes: make "
            f"{_largest(spec, shape)} smaller, or have the limit raised",
        )
    last = len(spec.layers) - 1
    if isinstance(spec.layers[-1], Softmax | Sigmoid) and spec.loss.target != "number":
        yield FieldError(
            f"network[{last}]",
            f"{spec.loss.kind} takes raw outputs and does this step itself: leave the last "
            f"{spec.layers[-1].kind} away",
        )
    wanted = expected_output(spec, schema)
    if wanted is not None and _size(output) != wanted:
        places = spec.network.places(shape)
        field = next(
            (f"network{p.path}.units" for p in reversed(places) if hasattr(p.layer, "units")),
            f"network[{last}]",
        )
        yield FieldError(
            field,
            f"the network ends with {_size(output)} outputs of shape {output}; "
            f"{_reason(spec, wanted)}"
            + (": a flatten or pooling layer is missing" if len(output) > 1 else ""),
        )
        return
    if isinstance(spec.loss, GroupedCrossEntropy):
        found = tuple(len(schema.column(name).classes or ()) for name in spec.data.targets)
        if spec.data.query is None and spec.loss.groups != found:
            yield FieldError(
                "loss.groups",
                f"they are {list(spec.loss.groups)}; the targets have {list(found)} classes",
            )
            return
    try:
        spec.loss.check(output)
    except ShapeError as error:
        yield FieldError("loss", str(error))


def _largest(spec: JobSpec, shape: Shape) -> str:
    """The layer with the most weights, by its place and kind."""
    by_size = {
        f"network{place.path} ({place.layer.kind})": sum(
            _size(weight.shape) for weight in place.layer.weights(place.shape).values()
        )
        for place in spec.network.places(shape)
    }
    return max(by_size, key=lambda name: by_size[name])


def _size(shape: Shape) -> int:
    size = 1
    for length in shape:
        size *= length
    return size


def _reason(spec: JobSpec, wanted: int) -> str:
    targets = ", ".join(map(repr, spec.data.targets[:5]))
    what = "classes" if spec.loss.target in {"class", "classes"} else "numbers"
    return f"the target {targets} needs {wanted} ({wanted} {what})"


def expected_output(spec: JobSpec, schema: DatasetSchema) -> int | None:
    """How many outputs the targets need; None when the target cannot tell."""
    columns = [schema.column(name) for name in spec.data.targets]
    if spec.loss.target in {"class", "classes"} and spec.data.query is not None:
        return None  # known when the rows are chosen
    if spec.loss.target == "class":
        return len(columns[0].classes) if columns[0].classes else None
    if spec.loss.target == "classes":
        return sum(len(column.classes or ()) for column in columns)
    return sum(column.size for column in columns)


def _metrics(spec: JobSpec) -> Iterator[FieldError]:
    for index, metric in enumerate(spec.metrics):
        if not metric.reads(spec.loss.observes()):
            needed = READ.get(metric.target, metric.target)
            yield FieldError(
                f"metrics[{index}]",
                f"{metric.kind} needs {needed} targets; {spec.loss.kind} has "
                f"{spec.loss.target} targets",
            )
    names = [metric.name for metric in spec.metrics]
    for index, name in enumerate(names):
        if name in names[:index]:
            yield FieldError(f"metrics[{index}]", f"{name} is asked for twice")
