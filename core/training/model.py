"""A trained model: network, weights and preparation; from raw rows to answers."""

import hashlib
import json
import math
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
from pydantic import TypeAdapter

from core.data.prepare.features import assemble
from core.data.prepare.pipeline import ColumnCellError, Pipeline, Standardizer
from core.data.table import columns
from core.data.table.schema import Label
from core.data.table.tensors import shape_of
from core.errors import FieldError, InvalidError
from core.nn.array import Array
from core.nn.layer import Scope
from core.nn.loss import Loss
from core.nn.network import BoundNetwork
from core.spec import JobSpec
from core.spec.version import encode
from core.training.calibration.intervals import Calibration
from core.training.checkpoint import read, save
from core.training.dataset_types import Column, Encoding

FORMAT = "chainrule.model.1"
BATCH = 4096
MOST_NUMBERS = 2**25
"""Numbers of all layers that are in memory at once while a model predicts; and BATCH rows."""
KEPT_BYTES = 2**24
"""Buffers of a model that are kept between two predictions."""
_LOSS: TypeAdapter[Loss] = TypeAdapter(Loss)


def weights_digest(weights: Array, state: Array) -> str:
    """SHA-256 of the flat weights and the state: equal digests mean equal networks."""
    digest = hashlib.sha256(np.ascontiguousarray(weights).tobytes())
    digest.update(np.ascontiguousarray(state).tobytes())
    return digest.hexdigest()


class TrainedModel:
    """Predicts from raw rows. Needs no dataset, database or worker."""

    def __init__(
        self,
        spec: JobSpec,
        encoding: Encoding,
        shape: tuple[int, ...],
        weights: Array,
        state: Array,
        loss: Loss | None = None,
    ) -> None:
        """`loss` is the fitted loss of the training; by default the loss of the spec."""
        self.spec = spec
        self.loss = spec.loss if loss is None else loss
        self.encoding = encoding
        self.calibration: Calibration | None = None
        self.network = BoundNetwork(spec.network, shape, stack=(), xp=np, dtype=spec.precision)
        self.network.weights[...] = weights
        self.network.state[...] = state
        self._lock = threading.Lock()

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns a row must have."""
        return tuple(column.name for column in self.encoding.features)

    @property
    def width(self) -> int:
        """The number of features of a row."""
        return math.prod(self.network.shape)

    @property
    def digest(self) -> str:
        """The digest of the weights."""
        return weights_digest(self.network.weights, self.network.state)

    def save(self, path: Path, *, durable: bool = True) -> str:
        """Write the model as safetensors, as `checkpoint.save` does. Returns the file's SHA-256."""
        arrays = {f"network{name}": view for name, view in self.network.views.items()}
        arrays.update({f"state{name}": view for name, view in self.network.state_views.items()})
        if self.encoding.standardizer is not None:
            arrays.update(self.encoding.standardizer.arrays())
        if self.encoding.target_standardizer is not None:
            arrays.update(self.encoding.target_standardizer.arrays(Standardizer.TARGETS))
        arrays.update(self.encoding.pipeline.arrays())
        if self.calibration is not None:
            arrays.update(self.calibration.arrays())
        metadata = {
            "format": FORMAT,
            "spec": json.dumps(encode(self.spec).document, separators=(",", ":")),
            "loss": _LOSS.dump_json(self.loss).decode(),
            "shape": json.dumps(self.network.shape),
            "features": _dumped(self.encoding.features),
            "prepare": self.encoding.pipeline.dumps(),
            "targets": _dumped(self.encoding.targets),
            "classes": json.dumps(self.encoding.classes),
        }
        contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        return save(path, contiguous, metadata, durable=durable)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file that `save` wrote. Raises InvalidError when it is damaged or not a model."""
        arrays, metadata = read(path)
        if metadata.get("format") != FORMAT:
            raise InvalidError(f"{path.name} is not a model of this version")
        spec = JobSpec.model_validate_json(metadata["spec"])
        classes = json.loads(metadata["classes"])
        encoding = Encoding(
            features=_columns(metadata["features"]),
            targets=_columns(metadata["targets"]),
            classes=tuple(None if c is None else tuple(c) for c in classes),
            standardizer=Standardizer.from_arrays(arrays),
            pipeline=Pipeline.loads(metadata["prepare"], arrays),
            target_standardizer=Standardizer.from_arrays(arrays, Standardizer.TARGETS),
        )
        shape = tuple(json.loads(metadata["shape"]))
        # Older models have no loss; that of the spec may not be fitted.
        loss = _LOSS.validate_json(metadata["loss"]) if "loss" in metadata else None
        model = cls(spec, encoding, shape, np.zeros(()), np.zeros(()), loss)
        for start, views in (
            ("network", model.network.views),
            ("state", model.network.state_views),
        ):
            for name, view in views.items():
                view[...] = arrays[start + name]
        model.calibration = Calibration.from_arrays(arrays)
        return model

    def predict(self, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
        """The answer for each row: a label as in the data, or a number for regression.

        With several target columns an answer is a dictionary. Raises InvalidError naming row and
        column.
        """
        return self.answers(self.outputs(self.rows_to_array(rows)))

    def predict_proba(self, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
        """For each row the probability of each label, by its text.

        Raises InvalidError naming row and column, and for regression, which has no labels.
        """
        return self.class_probabilities(self.outputs(self.rows_to_array(rows)))

    def class_probabilities(self, outputs: Array) -> list[Any]:
        """As `probabilities`. Raises InvalidError for regression, which has none."""
        if self.loss.target == "number":
            raise InvalidError("a regression has no probabilities: ask for an interval")
        return self.probabilities(outputs)

    def intervals(self, outputs: Array, level: float) -> list[dict[str, Any]]:
        """For each row `low` and `high`; the target lies between with probability `level`.

        This holds for rows like those that were held out, and for each number by itself. Raises
        InvalidError unless the model is a regression, and when too few rows were held out.
        """
        if self.loss.target != "number":
            raise _no_interval("only a regression has intervals: ask for probabilities")
        if self.calibration is None:
            raise _no_interval("the model was trained without held out rows: set data.split.valid")
        radius = self.calibration.radius(level)
        ends = self.answers(outputs - radius), self.answers(outputs + radius)
        return [{"low": low, "high": high} for low, high in zip(*ends, strict=True)]

    def outputs(self, x: Array) -> Array:
        """Predictions `(rows, ...)` for features as `rows_to_array` gives them, standardized here.

        Safe to call from several threads, which share the network one at a time.
        """
        return self.raw_outputs(x)[1]

    def raw_outputs(self, x: Array) -> tuple[Array, Array]:
        """The raw outputs of the network, and the predictions made of them; as `outputs`."""
        if self.encoding.standardizer is not None:
            x = self.encoding.standardizer.apply(x)
        scope = Scope(np, self.network.dtype, (), self.network.output_shape)
        raw, predictions = [], []
        size = max(1, min(BATCH, MOST_NUMBERS // self.network.numbers_per_row))
        with self._lock:
            for start in range(0, len(x), size):
                y, _ = self.network.forward(x[start : start + size])
                raw.append(np.array(y))
                outputs = self.encoding.in_units(self.loss.prediction(y, scope))
                predictions.append(np.array(outputs))
            self.network.release_buffers(KEPT_BYTES)
        if not raw:
            empty = np.empty((0, *self.network.output_shape))
            return empty, empty
        return np.concatenate(raw), np.concatenate(predictions)

    def answers(self, outputs: Array) -> list[Any]:
        """Outputs as labels or numbers; tensors of zeros and ones keep their shape."""
        first = self.encoding.classes[0]
        if self.loss.target == "class" and first is not None:
            return [first[code] for code in outputs.argmax(axis=-1).tolist()]
        names = [column.name for column in self.encoding.targets]
        by_target = [self._answer(i, part) for i, part in enumerate(self._by_target(outputs))]
        if len(names) == 1:
            return by_target[0]
        return [dict(zip(names, row, strict=True)) for row in zip(*by_target, strict=True)]

    def probabilities(self, outputs: Array) -> list[Any]:
        """Outputs as a dictionary from label to probability for each row."""
        if self.loss.target == "class":
            return [_labelled(self.encoding.classes[0], row) for row in outputs.tolist()]
        if self.loss.target == "distribution":
            names = tuple(column.name for column in self.encoding.targets)
            columns = names if len(names) == outputs.shape[-1] else None
            return [_labelled(columns, row) for row in outputs.tolist()]
        by_output: list[list[Any]] = []
        for classes, part in zip(self.encoding.classes, self._by_target(outputs), strict=True):
            by_output.append(
                self._target_probabilities(classes, part, self.encoding.targets[len(by_output)])
            )
        if len(by_output) == 1:
            return by_output[0]
        targets = [column.name for column in self.encoding.targets]
        return [dict(zip(targets, row, strict=True)) for row in zip(*by_output, strict=True)]

    def _target_probabilities(
        self, classes: tuple[Label, ...] | None, part: Array, target: Column
    ) -> list[Any]:
        """The probabilities of one target: of its labels, or of a one in each element of a cell."""
        if classes is None:
            shaped: list[Any] = part.reshape(len(part), *target.shape).tolist()
            return shaped
        if self.loss.target == "classes":
            return [_labelled(classes, row) for row in part.tolist()]
        return [_labelled(classes, [1 - p, p]) for p in part.reshape(-1).tolist()]

    def rows_to_array(self, rows: Sequence[Mapping[str, Any]]) -> Array:
        """Raw rows as features `(rows, *shape)`. Raises InvalidError naming row and column."""
        names = set(self.columns)
        parts = {}
        for column in self.encoding.features:
            raw = [_cell(row, index, column) for index, row in enumerate(rows)]
            parts[column.name] = _cells(raw, column, self.encoding, self.network.dtype)
        for index, row in enumerate(rows):
            if unknown := set(row) - names:
                name = sorted(unknown)[0]
                raise _wrong(index, name, f"the model knows no column {name!r}")
        try:
            self.encoding.pipeline.apply(parts)
        except ColumnCellError as error:
            raise _wrong(error.row, error.column, error.detail) from None
        flat = {name: part.reshape(len(rows), -1) for name, part in parts.items()}
        with np.errstate(over="ignore"):
            x = np.concatenate(list(flat.values()), axis=1, dtype=self.network.dtype)
        if not np.isfinite(x).all():
            _refuse_gap(flat, x)
        return x.reshape(len(rows), *self.network.shape)

    def table_to_array(self, table: pa.Table) -> Array:
        """The columns it knows as features `(rows, *shape)`. Raises InvalidError naming one."""
        for column in self.encoding.features:
            index = table.schema.get_field_index(column.name)
            if index < 0:
                message = f"the column {column.name!r} is missing"
                raise InvalidError(message, [FieldError(column.name, message)])
            field = table.schema.field(index)
            if shape_of(field) != column.shape or columns.is_text(field.type) != column.text:
                needed = "text is" if column.text else f"numbers of shape {column.shape} are"
                message = f"{needed} needed, not {field.type}"
                raise InvalidError.of(FieldError(column.name, message))
            if columns.is_boolean(field.type) and not column.boolean:
                message = "numbers are needed, not true and false"
                raise InvalidError.of(FieldError(column.name, message))
        try:
            x = assemble(table, self.columns, self.encoding.pipeline, self.network.dtype)
        except ColumnCellError as error:
            wrong = FieldError(error.column, f"row {error.row + 1}: {error.detail}")
            raise InvalidError.of(wrong) from None
        return x.reshape(len(x), *self.network.shape)

    def _by_target(self, outputs: Array) -> list[Array]:
        flat = outputs.reshape(len(outputs), -1)
        sizes = [int(np.prod(column.shape)) for column in self.encoding.targets]
        if self.loss.target == "classes":
            sizes = [len(labels or ()) for labels in self.encoding.classes]
        return np.split(flat, np.cumsum(sizes)[:-1], axis=1)

    def _answer(self, index: int, part: Array) -> list[Any]:
        classes, shape = self.encoding.classes[index], self.encoding.targets[index].shape
        if classes is not None and self.loss.target == "classes":
            return [classes[code] for code in part.argmax(axis=-1).tolist()]
        if classes is not None:
            return [classes[int(p > 0.5)] for p in part[:, 0].tolist()]
        if self.loss.target == "binary":
            part = (part > 0.5).astype(int)
        shaped: list[Any] = part.reshape(len(part), *shape).tolist()
        return shaped


def _labelled(classes: tuple[Label, ...] | None, row: Sequence[float]) -> dict[str, float]:
    names = [str(label) for label in classes or range(len(row))]
    return dict(zip(names, row, strict=True))


def _no_interval(message: str) -> InvalidError:
    return InvalidError.of(FieldError("interval", message))


def _wrong(row: int, column: str, message: str) -> InvalidError:
    return InvalidError.of(FieldError(f"rows[{row}].{column}", message))


def _refuse_gap(flat: Mapping[str, Array], x: Array) -> None:
    """Raise InvalidError naming the first column, and its first row, without a finite number."""
    start = 0
    for name, part in flat.items():
        finite = np.isfinite(x[:, start : start + part.shape[1]]).all(axis=1)
        if not finite.all():
            raise _wrong(int(np.argmin(finite)), name, "the number is missing or not finite")
        start += part.shape[1]


def _cell(row: Mapping[str, Any], index: int, column: Column) -> Any:
    if column.name not in row:
        raise _wrong(index, column.name, f"the column {column.name!r} is missing")
    return row[column.name]


def _dumped(columns_of: Sequence[Column]) -> str:
    return json.dumps([[c.name, c.shape, c.text, c.boolean] for c in columns_of])


def _columns(document: str) -> tuple[Column, ...]:
    """The columns that `save` wrote."""
    # Older models do not distinguish booleans and take them everywhere.
    return tuple(
        Column(name, tuple(shape), text, *(boolean or [True]))
        for name, shape, text, *boolean in json.loads(document)
    )


def _cells(raw: list[Any], column: Column, encoding: Encoding, dtype: Any) -> Array:
    """Raw cells as the pipeline expects them. Raises InvalidError naming row and column."""
    prepared = any(step.column == column.name for step in encoding.pipeline.steps)
    if column.text:
        for index, cell in enumerate(raw):
            if cell is not None and not isinstance(cell, str):
                raise _wrong(index, column.name, f"text is needed, not {cell!r:.50}")
        return np.array(raw, object)
    if not prepared or column.shape:
        return _numbers(raw, column, dtype)
    numbers = np.full(len(raw), np.nan)
    for index, cell in enumerate(raw):
        if cell is not None:
            numbers[index] = _number(cell, index, column)
    return numbers


def _number(cell: Any, row: int, column: Column) -> float:
    """A cell as a finite float64."""
    number: float = _numbers([cell], column, np.float64, first=row)[0]
    return number


def _numbers(cells: list[Any], column: Column, dtype: Any, first: int = 0) -> Array:
    """Cells `(rows, *column.shape)` as numbers. Raises InvalidError for the first that is not."""
    for index, cell in enumerate(cells, first):
        flat = np.array(cell, object).ravel().tolist() if column.shape else [cell]
        if not all(_numeric(kind, column) for kind in set(map(type, flat))):
            needed = "numbers are" if column.shape else "a number is"
            raise _wrong(index, column.name, f"{needed} needed, not {cell!r:.50}")
        try:
            with np.errstate(over="ignore"):  # too large becomes infinite, which is refused below
                array = np.asarray(cell, dtype)
        except (TypeError, ValueError, OverflowError):
            raise _wrong(index, column.name, f"numbers are needed, not {cell!r:.50}") from None
        if array.shape != column.shape:
            raise _wrong(index, column.name, f"shape {column.shape} is needed, not {array.shape}")
        if not np.isfinite(array).all():
            raise _wrong(index, column.name, "the number is not finite")
    return np.asarray(cells, dtype).reshape(len(cells), *column.shape)


def _numeric(kind: type, column: Column) -> bool:
    """Whether values of this type are numbers for the column."""
    if issubclass(kind, bool | np.bool_):
        return column.boolean
    return issubclass(kind, int | float | np.number)
