"""DataSpec: the columns of a dataset version to train on, and the split of its rows."""

import math
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

import core.data.prepare.augmentations
import core.data.prepare.steps  # noqa: F401  (the members register themselves)
from core.data.prepare.augmentation import Augmentation
from core.data.prepare.preparation import ColumnName, Preparation
from core.data.split.split import PARTS
from core.data.table.query import MAX_CHARACTERS, parse
from core.errors import InvalidError
from core.family import Since
from core.spec.base import Spec


def _parsed(text: str) -> str:
    try:
        parse(text)
    except InvalidError as error:
        raise ValueError(error.detail) from None
    return text


QueryText = Annotated[str, Field(max_length=MAX_CHARACTERS), AfterValidator(_parsed)]
Fraction = Annotated[float, Field(ge=0, le=1)]


def _split_fields(query: object) -> dict[str, Any]:
    """The values of split fields that `@split` in a query sets; empty without it."""
    try:
        split = parse(query).job_split if isinstance(query, str) else None
    except InvalidError:
        return {}
    if split is None:
        return {}
    if split.column is not None:
        return {"split": {"column": split.column}, "split_seed": split.seed}
    columns = {"column": None, "group_by": split.group_by, "stratify_by": split.stratify_by}
    return {
        "split": {**split.shares, **columns},
        "split_seed": split.seed,
        "stratify": split.stratify_by is not None,
    }


def _without_default(schema: dict[str, Any]) -> None:
    """Leave the default out of a JSON schema: that of a request depends on the rest of the job."""
    del schema["default"]


_ROUNDING = 1e-9
"""How far a sum of fractions may be off."""

FoldCount = Annotated[int, Field(ge=2, le=100)]


class FoldSpec(Spec):
    """The number of the validation fold, from 0, and the number of folds; the others train."""

    number: Annotated[int, Field(ge=0)]
    of: FoldCount

    @model_validator(mode="after")
    def _validate(self) -> Self:
        if self.number >= self.of:
            raise ValueError(
                f"there is no fold {self.number} of {self.of}: folds are numbered from 0"
            )
        return self


class SplitSpec(Spec):
    """Fractions of the rows for training, validation and test.

    By default they are 0.8, 0.1 and 0.1. A fraction that is left out is 0 if the others sum to 1.

    With `column`, that column holds the part of each row: `train`, `valid` or `test`. A fraction of
    0 then means that the part is not used. With `group_by`, rows with the same value in that column
    are in the same part, so fractions are approximate. With `stratify_by`, each part gets its
    fraction of each value of that column. With `order_by`, the rows with the lowest values train,
    the next ones validate, and those with the highest test: train on the past and test on the
    future. Rows with equal values stay in the order of the dataset, and classes are not stratified.

    With `fold`, the rows for training and validation are split into folds: one for validation, the
    others for training. The test rows do not change. With `order_by`, a fold validates after all
    rows that train: the rows are cut into one block more than there are folds, and fold `number`
    validates on block `number + 1` and trains on the blocks before it.
    """

    train: Annotated[float, Field(gt=0, le=1)] = 0.8
    valid: Fraction = 0.1
    test: Fraction = 0.1

    column: ColumnName | None = Field(None, description="column with the part of each row")
    group_by: ColumnName | None = Field(
        None, description="column, such as a patient id, whose groups are not split"
    )
    stratify_by: ColumnName | None = Field(
        None, description="column to stratify by; default: the target, if it is a class"
    )
    fold: FoldSpec | None = Field(None, description="one job of a cross-validation")
    order_by: Annotated[ColumnName | None, Since(2)] = Field(
        None,
        description="column of numbers or dates, such as a time: train on the lowest, test on the "
        "highest",
    )

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, given: Any) -> Any:
        """Set the fractions that are left out to 0 if the others sum to 1."""
        if not isinstance(given, dict):
            return given
        named = [given[part] for part in PARTS if part in given]
        if not all(isinstance(fraction, int | float) and 0 <= fraction <= 1 for fraction in named):
            return given
        whole = abs(math.fsum(named) - 1) <= _ROUNDING
        return {**dict.fromkeys(PARTS, 0.0), **given} if whole else given

    @model_validator(mode="after")
    def _validate(self) -> Self:
        if self.column is not None and self.group_by is not None:
            raise ValueError("set column or group_by, not both")
        if self.stratify_by is not None and (self.column or self.group_by):
            raise ValueError("a split with column or group_by cannot be stratified")
        if self.order_by is not None and (self.column or self.group_by or self.stratify_by):
            raise ValueError("order_by goes with none of column, group_by and stratify_by")
        named = [part for part in PARTS if part in self.model_fields_set]
        total = math.fsum(self.dealt.values())
        if total > 1 + _ROUNDING:
            raise ValueError(f"train, valid and test sum to more than 1{self._remedy(named)}")
        # Rows may be left out, but not by defaults: then all three fractions are set.
        if self.column is None and 0 < len(named) < len(PARTS) and total < 1 - _ROUNDING:
            raise ValueError(
                f"{100 * (1 - total):.3g} % of the rows would be in no part{self._remedy(named)}; "
                "to leave rows out, set all three"
            )
        return self

    def _remedy(self, named: list[str]) -> str:
        """The end of an error about fractions of which only some are `named`: what to write."""
        default = [part for part in PARTS if part not in named]
        if not default:
            return ""
        # The first one takes the rest.
        others = [part for part in PARTS if part in named]
        if default[0] == "train":
            others = [part for part in PARTS if part != "train"]
        rest = round(1 - math.fsum(self.dealt[part] for part in others), 9)
        if rest <= 0:
            return ""
        parts = {part: self.dealt[part] for part in others} | {default[0]: rest}
        written = ", ".join(f'"{part}": {parts[part]:g}' for part in PARTS if part in parts)
        known = ", ".join(f"{part} is {self.dealt[part]:g}" for part in default)
        return f" ({known} by default): write {{{written}}}"

    @property
    def dealt(self) -> dict[str, float]:
        """The fraction of each part by name, regardless of `fold`."""
        return {"train": self.train, "valid": self.valid, "test": self.test}

    @property
    def shares(self) -> dict[str, float]:
        """The fraction of each part by name."""
        if self.fold is None:
            return self.dealt
        if self.order_by is not None:
            block = (self.train + self.valid) / (self.fold.of + 1)
            trains = block * (self.fold.number + 1)
            return {"train": trains, "valid": block, "test": self.test}
        valid = (self.train + self.valid) / self.fold.of
        return {"train": valid * (self.fold.of - 1), "valid": valid, "test": self.test}


class DataSpec(Spec):
    """The feature and target columns, the split of rows, and the preparation of features.

    The split depends only on `split_seed`, so jobs that differ in `seed` have the same split.
    `@split` in the query sets `split`, `split_seed` and `stratify`, which then must not differ.
    """

    target: ColumnName | Annotated[tuple[ColumnName, ...], Field(min_length=1, max_length=10_000)]
    features: Annotated[tuple[ColumnName, ...], Field(min_length=1)] | None = Field(
        None,
        description="feature columns; default: all except target, sample_weight, the columns of "
        "split, and the column `file` of pictures",
    )
    sample_weight: ColumnName | None = Field(None, description="column with the weight of each row")
    query: QueryText | None = Field(
        None,
        description="rows to use, such as `label:[0 TO 4] AND source:scanner @sample:0.5 @seed:7`; "
        "they are split afterwards, by `split` or by `@split:0.8:0.1:0.1 @stratify:label` in it",
        examples=["label:[0 TO 4]"],
    )
    split: SplitSpec = SplitSpec()
    split_seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    stratify: bool = Field(True, description="give each part its fraction of each class")
    standardize: bool = Field(
        True,
        description="scale features to mean 0 and standard deviation 1 on the training rows, "
        "except those that a step of `prepare` encodes or scales",
    )
    standardize_target: Annotated[bool, Since(2)] = Field(
        False,
        description="scale number targets to mean 0 and standard deviation 1 on the training rows, "
        "each column by itself. Losses are then on this scale; metrics and predictions are in the "
        "units of the data. It has no effect on classes, counts (poisson), and networks whose "
        "outputs are limited, as by a last sigmoid. Default: true where it has an effect",
        json_schema_extra=_without_default,
    )
    memory_bytes: Annotated[int, Field(ge=2**20)] | None = Field(
        None,
        description="memory for the rows; default: the limit of the worker. Larger data is read "
        "from disk during training and shuffled in an order that depends on this number",
    )
    prepare: Annotated[tuple[Preparation, ...], Field(max_length=64)] = Field(
        (),
        description="preparation of the features, in order: fitted to the training rows, stored "
        "with the model, and applied to the rows of predictions",
    )

    augment: Annotated[tuple[Augmentation, ...], Field(max_length=16)] = Field(
        (), description="random changes of the prepared training rows, different in each epoch"
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_from_query(cls, given: Any) -> Any:
        fields = _split_fields(given.get("query")) if isinstance(given, dict) else {}
        if not fields:
            return given
        split = given.get("split", {})
        filled = {**fields["split"], **split} if isinstance(split, dict) else split
        return {**fields, **given, "split": filled}

    @field_validator("split", "split_seed", "stratify")
    @classmethod
    def _agree_with_query(cls, value: Any, info: ValidationInfo) -> Any:
        field = str(info.field_name)
        expected = _split_fields(info.data.get("query")).get(field, value)
        if isinstance(expected, dict):
            different = [name for name, item in expected.items() if getattr(value, name) != item]
        else:
            different = [field] if expected != value else []
        if different:
            raise ValueError(
                f"@split in data.query sets another {different[0]}: remove one of them"
            )
        return value

    @property
    def apart(self) -> tuple[str, ...]:
        """The columns that are not features by default."""
        split = self.split
        columns = (self.sample_weight, split.column, split.group_by, split.order_by)
        return (*self.targets, *(name for name in columns if name is not None))

    @property
    def targets(self) -> tuple[str, ...]:
        """The target columns, in order."""
        return (self.target,) if isinstance(self.target, str) else self.target
