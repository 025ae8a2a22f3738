"""What to train on: columns of a dataset version, and how its rows are split."""

from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

import core.data.prepare.augmentations
import core.data.prepare.steps  # noqa: F401  (the members register themselves)
from core.data.prepare.augmentation import Augmentation
from core.data.prepare.preparation import ColumnName, Preparation
from core.data.table.query import MAX_CHARACTERS, parse
from core.errors import InvalidError
from core.spec.base import Spec


def _parsed(text: str) -> str:
    try:
        parse(text)
    except InvalidError as error:
        raise ValueError(error.detail) from None
    return text


QueryText = Annotated[str, Field(max_length=MAX_CHARACTERS), AfterValidator(_parsed)]
Fraction = Annotated[float, Field(ge=0, le=1)]


def _dealt_by(query: object) -> dict[str, Any]:
    """What `@split` in a query makes of the fields that say how rows are split; else nothing."""
    try:
        split = parse(query).deals if isinstance(query, str) else None
    except InvalidError:
        return {}
    if split is None:
        return {}
    if split.column is not None:
        return {"split": {"column": split.column}, "split_seed": split.seed}
    how = {"column": None, "group_by": split.group_by, "stratify_by": split.stratify_by}
    return {
        "split": {**split.shares, **how},
        "split_seed": split.seed,
        "stratify": split.stratify_by is not None,
    }


FoldCount = Annotated[int, Field(ge=2, le=100)]


class FoldSpec(Spec):
    """Which fold of how many validates, numbered from 0; the others train."""

    number: Annotated[int, Field(ge=0)]
    of: FoldCount

    @model_validator(mode="after")
    def _there(self) -> Self:
        if self.number >= self.of:
            raise ValueError(f"there is no fold {self.number} of {self.of}: the first is 0")
        return self


class SplitSpec(Spec):
    """Shares of the rows that train, that are watched while training, and that only test.

    With `column` the rows say it themselves, by `train`, `valid` or `test` in that column, and the
    shares only whether there is such a part (above 0) or not. With `group_by` rows that have the
    same value in that column stay together, and the shares are kept as well as groups allow. With
    `stratify_by` each part gets its share of every value of that column.

    With `fold` the rows to train and to validate on are dealt anew into as many folds as it says:
    one validates, the others train. What tests stays what it is without it.
    """

    train: Annotated[float, Field(gt=0, le=1)] = 0.8
    valid: Fraction = 0.1
    test: Fraction = 0.1

    column: ColumnName | None = Field(None, description="column that says the part of each row")
    group_by: ColumnName | None = Field(
        None, description="column, such as a patient's number, whose groups are not torn apart"
    )
    stratify_by: ColumnName | None = Field(
        None, description="column to spread evenly; by default the target, where it is a class"
    )
    fold: FoldSpec | None = Field(None, description="one job of a cross-validation")

    @model_validator(mode="after")
    def _sum(self) -> Self:
        if self.column is not None and self.group_by is not None:
            raise ValueError("a split is by column or by groups, not both")
        if self.stratify_by is not None and (self.column or self.group_by):
            raise ValueError("a split by a column or by groups cannot be stratified")
        if self.train + self.valid + self.test > 1 + 1e-9:
            raise ValueError("train, valid and test sum to more than 1")
        return self

    @property
    def dealt(self) -> dict[str, float]:
        """The share of each part by its name, before folds are made of what does not test."""
        return {"train": self.train, "valid": self.valid, "test": self.test}

    @property
    def shares(self) -> dict[str, float]:
        """The share of each part by its name."""
        if self.fold is None:
            return self.dealt
        valid = (self.train + self.valid) / self.fold.of
        return {"train": valid * (self.fold.of - 1), "valid": valid, "test": self.test}


class DataSpec(Spec):
    """Which columns go in, which come out, and what is done to them first.

    The split depends on `split_seed` alone, so jobs that differ in their seed share their rows.
    `@split` in the query fills in `split`, `split_seed` and `stratify`, which then may not say
    otherwise.
    """

    target: ColumnName | Annotated[tuple[ColumnName, ...], Field(min_length=1, max_length=10_000)]
    features: Annotated[tuple[ColumnName, ...], Field(min_length=1)] | None = Field(
        None,
        description="columns that go in; by default all but target, sample_weight and those of "
        "split",
    )
    sample_weight: ColumnName | None = Field(
        None, description="column that says how much each row counts"
    )
    query: QueryText | None = Field(
        None,
        description="rows to train, validate and test on, such as `label:[0 TO 4] AND "
        "source:scanner @sample:0.5 @seed:7`; the split comes after it, or is in it, as in "
        "`@split:0.8:0.1:0.1 @stratify:label`",
        examples=["label:[0 TO 4]"],
    )
    split: SplitSpec = SplitSpec()
    split_seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    stratify: bool = Field(True, description="give each part its share of every class")
    standardize: bool = Field(
        True,
        description="shift and scale features to mean 0 and deviation 1 on the training rows; not "
        "what a step of `prepare` has encoded or scaled",
    )
    memory_bytes: Annotated[int, Field(ge=2**20)] | None = Field(
        None,
        description="memory for the rows; by default what the worker has. More are read from the "
        "disk while training goes on, shuffled in an order that depends on this number",
    )
    prepare: Annotated[tuple[Preparation, ...], Field(max_length=64)] = Field(
        (),
        description="what is done to the features, in order: learned on the training rows, kept "
        "with the model, done again to the rows of a prediction",
    )

    augment: Annotated[tuple[Augmentation, ...], Field(max_length=16)] = Field(
        (), description="chance changes of the prepared training rows, anew in every epoch"
    )

    @model_validator(mode="before")
    @classmethod
    def _filled_in(cls, given: Any) -> Any:
        said = _dealt_by(given.get("query")) if isinstance(given, dict) else {}
        if not said:
            return given
        split = given.get("split", {})
        filled = {**said["split"], **split} if isinstance(split, dict) else split
        return {**said, **given, "split": filled}

    @field_validator("split", "split_seed", "stratify")
    @classmethod
    def _as_the_query_says(cls, value: Any, info: ValidationInfo) -> Any:
        said = _dealt_by(info.data.get("query")).get(str(info.field_name), value)
        if isinstance(said, dict):
            other = [name for name, wanted in said.items() if getattr(value, name) != wanted]
        else:
            other = [str(info.field_name)] if said != value else []
        if other:
            raise ValueError(f"@split in data.query says another {other[0]}: leave one of them out")
        return value

    @property
    def apart(self) -> tuple[str, ...]:
        """The columns that do not go in unless they are named as features."""
        others = (self.sample_weight, self.split.column, self.split.group_by)
        return (*self.targets, *(name for name in others if name is not None))

    @property
    def targets(self) -> tuple[str, ...]:
        """The target columns, in order."""
        return (self.target,) if isinstance(self.target, str) else self.target
