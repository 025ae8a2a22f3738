"""The SweepSpec: which fields of a JobSpec to search, how, and for what.

Not imported by `core.spec` itself: whoever trains need not load the samplers.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, JsonValue, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

import core.search.dimensions
import core.search.pruners
import core.search.samplers  # noqa: F401  (the members register themselves)
from core.data.prepare.preparation import ColumnName
from core.search.dimension import Dimension
from core.search.pruner import Pruner
from core.search.pruners.none import NoPruner
from core.search.sampler import Sampler
from core.search.samplers.tpe import Tpe
from core.search.study import Search
from core.spec import paths
from core.spec.admission import reported, single_numbers
from core.spec.base import Name, Spec
from core.spec.data import FoldCount, FoldSpec
from core.spec.job import DIGITS, JobSpec

FIXED = frozenset(
    {
        "checkpoint", "data", "dataset", "description", "device", "experiment", "max_attempts",
        "metrics", "name", "priority", "tags",
    }
)  # fmt: skip
"""Fields that all trials of a sweep share: they would make results that cannot be compared."""

EXAMPLE: dict[str, JsonValue] = {
    "name": "digits",
    "job": DIGITS,
    "search_space": {
        "optimizer.learning_rate": {"kind": "float", "low": 1e-4, "high": 0.1, "log": True},
        "network[0].units": {"kind": "categorical", "choices": [16, 32, 64]},
    },
    "objective": {"metric": "valid/accuracy", "direction": "maximize"},
    "sampler": {"kind": "tpe", "seed": 7},
    "pruner": {"kind": "successive_halving"},
    "n_trials": 50,
    "max_parallel": 4,
}
"""A search for a good recogniser of handwritten digits."""

Path = Annotated[str, Field(min_length=1, max_length=250)]


SweepId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class Objective(Spec):
    """The metric that tells good trials from bad ones."""

    metric: Annotated[str, Field(min_length=1, max_length=250)] = Field(
        description="such as valid/accuracy, valid/loss, test/loss"
    )
    direction: Literal["minimize", "maximize"]


class Budget(Spec):
    """What a sweep may spend besides its trials; whatever runs out first ends it."""

    seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        None, description="time that it runs, pauses left out; trials that train then are stopped"
    )
    epochs: Annotated[int, Field(ge=1)] | None = Field(
        None, description="epochs that all trials train together"
    )


class CrossValidation(Spec):
    """Each trial is as many jobs as there are folds; what they come to on average counts.

    In each job another fold of the rows that do not test validates, and the others train. The folds
    are the same for all trials: they depend on the job's `data.split_seed`.
    """

    folds: FoldCount = 5
    stratified: bool | None = Field(
        None,
        description="give each fold its share of every class; by default as the job's "
        "`data.stratify` says",
    )
    group_by: ColumnName | None = Field(
        None,
        description="column, such as a patient's number, whose groups are not torn apart; by "
        "default the job's `data.split.group_by`",
    )


class SweepSpec(Spec):
    """What a client asks for: a job, which of its fields to search, and what is better."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    name: Name
    job: JobSpec = Field(description="what all trials share, and where the searched fields are")
    search_space: Annotated[dict[Path, Dimension], Field(min_length=1, max_length=100)] = Field(
        description="fields of the job by path, such as `optimizer.learning_rate`, "
        "`network[0].units`, and the values each may take"
    )
    objective: Objective | Annotated[tuple[Objective, ...], Field(min_length=1, max_length=8)]
    sampler: Sampler = Tpe()
    pruner: Pruner = NoPruner()
    n_trials: Annotated[int, Field(ge=1, le=1_000_000)]
    cross_validation: CrossValidation | None = Field(
        None, description="measure each trial on every row that does not test, by several jobs"
    )
    budget: Budget = Budget()
    max_parallel: Annotated[int, Field(ge=1, le=1000)] = Field(
        4, description="trials that wait or run at once"
    )
    baseline: Annotated[tuple[dict[Path, JsonValue], ...], Field(max_length=1000)] = Field(
        (), description="points to try first; a field left out is the sampler's choice"
    )
    warm_start: Annotated[tuple[SweepId, ...], Field(max_length=20)] = Field(
        (),
        description="ids of earlier sweeps with the same objective: the sampler learns from what "
        "they had tried when this one began",
    )
    mlflow: Annotated[str, Field(pattern=r"^(all|none|best:[1-9][0-9]{0,4})$")] = Field(
        "all",
        description="which trials have runs of their own below the sweep's in MLflow: `all`, "
        "`none`, or `best:10` for the ten best once it has ended",
    )

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """The objectives, in order."""
        return (self.objective,) if isinstance(self.objective, Objective) else self.objective

    @property
    def trials(self) -> int:
        """How many trials there will be: no more than a sampler that visits each point finds."""
        points = self.search("").points()
        return self.n_trials if points is None or not self.sampler.exhaustive else min(
            points, self.n_trials
        )  # fmt: skip

    def search(self, name: str) -> Search:
        """It as the search knows it; `name` differs from that of other sweeps."""
        return Search(
            name,
            self.search_space,
            [objective.direction for objective in self.objectives],
            self.sampler,
            self.pruner,
            self.job.epochs,
        )

    def at(self, values: dict[str, Any]) -> JobSpec:
        """The job at a point of the search space. Raises ValidationError for an invalid one."""
        document = paths.replaced(self.job.model_dump(mode="json"), values)
        wanted = self.cross_validation
        if wanted is not None and wanted.group_by is not None:
            document["data"]["split"]["group_by"] = wanted.group_by
        if wanted is not None and wanted.stratified is not None:
            document["data"]["stratify"] = wanted.stratified
        return JobSpec.model_validate(document)

    @property
    def folds(self) -> int:
        """How many jobs a trial is."""
        return 1 if self.cross_validation is None else self.cross_validation.folds

    def jobs(self, job: JobSpec) -> list[JobSpec]:
        """The jobs of the trial that tries `job`: itself, or one for each fold."""
        wanted = self.cross_validation
        if wanted is None:
            return [job]
        split, made = job.data.split, []
        for number in range(wanted.folds):
            fold = split.model_copy(update={"fold": FoldSpec(number=number, of=wanted.folds)})
            data = job.data.model_copy(update={"split": fold})
            made.append(job.model_copy(update={"data": data}))
        return made

    @model_validator(mode="after")
    def _fit(self) -> Self:
        errors = [*_paths(self), *_folds(self)]
        errors = errors or [*_values(self), *_objectives(self), *_methods(self)]
        if errors:
            raise ValidationError.from_exception_data("SweepSpec", errors)
        return self


class SweepChanges(Spec):
    """What may change about a sweep that has begun; a field left out stays as it is."""

    n_trials: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        None, description="trials in all, those begun included; more let a finished sweep go on"
    )
    max_parallel: Annotated[int, Field(ge=1, le=1000)] | None = None
    search_space: Annotated[dict[Path, Dimension], Field(min_length=1, max_length=100)] | None = (
        Field(None, description="the whole new space; what was tried stays known where it fits")
    )
    sampler: Sampler | None = None
    pruner: Pruner | None = None
    budget: Budget | None = Field(None, description="the whole new budget")


class Points(Spec):
    """Points to try next, beside what the sampler suggests."""

    points: Annotated[
        tuple[dict[Path, JsonValue], ...],
        Field(
            min_length=1,
            max_length=1000,
            description="each adds a trial; a field left out is the sampler's choice",
            examples=[[{"optimizer.learning_rate": 0.01}]],
        ),
    ]


def misplaced(
    sweep: SweepSpec, points: Sequence[Mapping[str, Any]], name: str
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Where in the list `name` a point lies beside the search space, and how."""
    for index, point in enumerate(points):
        for path, value in point.items():
            known = sweep.search_space.get(path)
            if known is None:
                yield (name, index, path), "not in the search space"
            elif not known.contains(value):
                yield (name, index, path), f"{value!r} is outside the search space"


def _wrong(message: str, *place: str | int, value: Any = None) -> InitErrorDetails:
    return {
        "type": PydanticCustomError("sweep", "{message}", {"message": message}),
        "loc": place,
        "input": value,
    }


def _paths(sweep: SweepSpec) -> Iterator[InitErrorDetails]:
    document = sweep.job.model_dump(mode="json")
    ways: dict[paths.Steps, str] = {}
    for path in sweep.search_space:
        try:
            steps = paths.parse(path)
        except ValueError as error:
            yield _wrong(str(error), "search_space", path)
            continue
        astray = paths.missing(document, steps)
        if steps[0] in FIXED:
            yield _wrong(f"all trials share the job's {steps[0]}", "search_space", path)
        elif astray is not None:
            yield _wrong(f"not a field of the job: {astray}", "search_space", path)
        for other, name in ways.items():
            short = min(len(steps), len(other))
            if steps[:short] == other[:short]:
                yield _wrong(f"{path} and {name} are about one field", "search_space", path)
        ways[steps] = path


def _folds(sweep: SweepSpec) -> Iterator[InitErrorDetails]:
    """Folds that cannot be made of the split that the job has."""
    wanted, split = sweep.cross_validation, sweep.job.data.split
    if wanted is None:
        return
    if split.fold is not None:
        yield _wrong("the sweep makes the folds: leave it out", "job", "data", "split", "fold")
    if wanted.group_by is not None and split.column is not None:
        message = f"the column {split.column!r} says what tests: its groups may be torn apart"
        yield _wrong(message, "cross_validation", "group_by")
    if wanted.stratified and (wanted.group_by or split.group_by):
        message = "folds of whole groups cannot be stratified: leave one of the two out"
        yield _wrong(message, "cross_validation", "stratified")


def _values(sweep: SweepSpec) -> Iterator[InitErrorDetails]:
    """Ends and choices that no job can have, each tried alone; baselines beside the space."""
    for path, dimension in sweep.search_space.items():
        for value in dimension.ends():
            try:
                sweep.at({path: value})
            except ValidationError as error:
                reason = error.errors(include_url=False, include_context=False)[0]["msg"]
                yield _wrong(f"{value!r} makes no valid job: {reason}", "search_space", path)
    for place, message in misplaced(sweep, sweep.baseline, "baseline"):
        yield _wrong(message, *place)


def _objectives(sweep: SweepSpec) -> Iterator[InitErrorDetails]:
    job = sweep.jobs(sweep.job)[0]
    each_epoch = reported(job)
    known = each_epoch | after_training(job)
    several = not isinstance(sweep.objective, Objective)
    for index, objective in enumerate(sweep.objectives):
        place = ("objective", index, "metric") if several else ("objective", "metric")
        if objective.metric not in known:
            yield _wrong(
                f"{objective.metric!r} is not reported; there: {', '.join(sorted(known))}", *place
            )
        elif sweep.pruner.prunes and objective.metric not in each_epoch:
            yield _wrong(
                f"{objective.metric} is known only at the end; a pruner needs one of each epoch",
                *place,
            )


def after_training(job: JobSpec) -> set[str]:
    """The metrics known once training has ended, besides those of each epoch."""
    if not job.data.split.test:
        return set()
    return {f"test/{name}" for name in single_numbers(job)}


def _methods(sweep: SweepSpec) -> Iterator[InitErrorDetails]:
    count = len(sweep.objectives)
    if sweep.pruner.prunes and count > 1:
        yield _wrong("pruning needs a single objective", "pruner")
    if count > sweep.sampler.objectives:
        yield _wrong(f"{sweep.sampler.kind} takes a single objective", "sampler")
    if sweep.sampler.exhaustive:
        for path, dimension in sweep.search_space.items():
            if dimension.points() is None:
                yield _wrong(f"{sweep.sampler.kind} needs a step here", "search_space", path)
        points = sweep.search("").points()
        if points is not None and points > 1_000_000:
            yield _wrong(f"{points:,} points are too many to visit each", "sampler")
