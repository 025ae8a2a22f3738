"""SweepSpec: which fields of a JobSpec to search, how, and the objective.

`core.spec` does not import it, so that training processes do not load the samplers.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, JsonValue, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

import core.search.dimensions
import core.search.pruners
import core.search.samplers  # noqa: F401  (the members register themselves)
from chainrule.contract import paths
from core.data.prepare.preparation import ColumnName
from core.search.dimension import Dimension
from core.search.pruner import Pruner
from core.search.pruners.none import NoPruner
from core.search.sampler import Sampler
from core.search.samplers.tpe import Tpe
from core.search.study import Search
from core.spec.admission import reported, single_numbers
from core.spec.base import Name, Spec
from core.spec.conditions import meeting, place
from core.spec.data import FoldCount, FoldSpec
from core.spec.job import DIGITS, JobSpec

FIXED = frozenset(
    {
        "checkpoint", "dataset", "description", "device", "experiment", "max_attempts",
        "metrics", "name", "priority", "tags",
    }
)  # fmt: skip
"""Fields that all trials of a sweep share, so that their results are comparable."""

SEARCHED_DATA = ("augment", "features", "prepare", "standardize")
"""The fields of `data` that may differ: the rows, their parts and the target may not."""

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
"""An example: a search for a network that recognises handwritten digits."""

Path = Annotated[str, Field(min_length=1, max_length=250)]

SweepId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class Objective(Spec):
    """The metric by which trials are compared."""

    metric: Annotated[str, Field(min_length=1, max_length=250)] = Field(
        description="such as valid/accuracy, valid/loss, test/loss"
    )
    direction: Literal["minimize", "maximize"]


class Budget(Spec):
    """Limits of a sweep in addition to the number of trials; the first one reached ends it."""

    seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        None, description="running time without pauses; trials still training are then stopped"
    )
    epochs: Annotated[int, Field(ge=1)] | None = Field(
        None, description="total epochs of all trials"
    )


class CrossValidation(Spec):
    """Each trial is one job per fold; its result is the mean over them.

    In each job another fold of the rows outside the test set is used for validation and the others
    for training. All trials have the same folds, which depend on `data.split_seed` of the job.
    """

    folds: FoldCount = 5
    stratified: bool | None = Field(
        None,
        description="give each fold its fraction of each class; default: `data.stratify` of the "
        "job",
    )
    group_by: ColumnName | None = Field(
        None,
        description="column, such as a patient id, whose groups are not split; default: "
        "`data.split.group_by` of the job",
    )


class SweepSpec(Spec):
    """A sweep: a job, the fields to search, and the objective."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    name: Name
    job: JobSpec = Field(
        description="the job of all trials, in which the searched fields are replaced"
    )
    search_space: Annotated[dict[Path, Dimension], Field(min_length=1, max_length=100)] = Field(
        description="paths of fields of the job, such as `optimizer.learning_rate` or "
        "`network[0].units`, and the values of each"
    )
    objective: Objective | Annotated[tuple[Objective, ...], Field(min_length=1, max_length=8)]
    sampler: Sampler = Tpe()
    pruner: Pruner = NoPruner()
    n_trials: Annotated[int, Field(ge=1, le=1_000_000)]
    cross_validation: CrossValidation | None = Field(
        None, description="validate each trial on all rows outside the test set, in several jobs"
    )
    budget: Budget = Budget()
    max_parallel: Annotated[int, Field(ge=1, le=1000)] = Field(
        4, description="trials queued or running at a time"
    )
    baseline: Annotated[tuple[dict[Path, JsonValue], ...], Field(max_length=1000)] = Field(
        (), description="points to try first; the sampler chooses the fields left out"
    )
    warm_start: Annotated[tuple[SweepId, ...], Field(max_length=20)] = Field(
        (),
        description="ids of earlier sweeps with the same objective: the sampler learns from their "
        "results at the start of this sweep",
    )
    mlflow: Annotated[str, Field(pattern=r"^(all|none|best:[1-9][0-9]{0,4})$")] = Field(
        "all",
        description="which trials have their own MLflow runs, nested in that of the sweep: `all`, "
        "`none`, or `best:10` for the ten best after the sweep has ended",
    )

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """The objectives, in order."""
        return (self.objective,) if isinstance(self.objective, Objective) else self.objective

    @property
    def trials(self) -> int:
        """The number of trials, limited to all points for a sampler that visits each once."""
        points = self.search("").points()
        return self.n_trials if points is None or not self.sampler.exhaustive else min(
            points, self.n_trials
        )  # fmt: skip

    def search(self, name: str) -> Search:
        """Return the search of this sweep; `name` must be unique among sweeps."""
        return Search(
            name,
            self.search_space,
            [objective.direction for objective in self.objectives],
            self.sampler,
            self.pruner,
            self.job.epochs,
            self._active,
        )

    def _active(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return the values that have an effect: without those whose `when` is not met."""
        if not any(dimension.when for dimension in self.search_space.values()):
            return values
        try:
            return place(self.job.model_dump(mode="json"), self.search_space, values)[1]
        except ValueError:
            return values  # `at` says why they do not fit together

    def at(self, values: dict[str, Any]) -> JobSpec:
        """Return the job at a point of the search space. Raises ValidationError."""
        try:
            document, _ = place(self.job.model_dump(mode="json"), self.search_space, values)
        except ValueError as error:
            details = [_error(str(error), "search_space")]
            raise ValidationError.from_exception_data("SweepSpec", details) from None
        validation = self.cross_validation
        if validation is not None and validation.group_by is not None:
            document["data"]["split"]["group_by"] = validation.group_by
        if validation is not None and validation.stratified is not None:
            document["data"]["stratify"] = validation.stratified
        return JobSpec.model_validate(document)

    def probes(self) -> Iterator[tuple[str, Any, dict[str, Any]]]:
        """Yield the path and value of each bound and choice, and a point to try it at.

        The point has the value alone, or with those that the condition of its dimension needs.
        """
        document = self.job.model_dump(mode="json")
        for path, dimension in self.search_space.items():
            needed = (meeting(document, self.search_space, path) or {}) if dimension.when else {}
            for value in dimension.ends():
                yield path, value, {**needed, path: value}

    @property
    def folds(self) -> int:
        """The number of jobs of a trial."""
        return 1 if self.cross_validation is None else self.cross_validation.folds

    def jobs(self, job: JobSpec) -> list[JobSpec]:
        """Return the jobs of the trial of `job`: the job itself, or one for each fold."""
        if self.cross_validation is None:
            return [job]
        jobs = []
        for number in range(self.folds):
            fold = FoldSpec(number=number, of=self.folds)
            split = job.data.split.model_copy(update={"fold": fold})
            data = job.data.model_copy(update={"split": split})
            jobs.append(job.model_copy(update={"data": data}))
        return jobs

    @model_validator(mode="after")
    def _validate(self) -> Self:
        errors = [*_paths(self), *_folds(self)]
        errors = errors or [*_values(self), *_objectives(self), *_methods(self)]
        if errors:
            raise ValidationError.from_exception_data("SweepSpec", errors)
        return self


class SweepChanges(Spec):
    """Changes of a started sweep; fields left out do not change."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"n_trials": 60, "max_parallel": 2}]})

    n_trials: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        None,
        description="total trials, started ones included; more trials resume a finished sweep",
    )
    max_parallel: Annotated[int, Field(ge=1, le=1000)] | None = None
    search_space: Annotated[dict[Path, Dimension], Field(min_length=1, max_length=100)] | None = (
        Field(None, description="the complete new space; earlier trials that fit it are kept")
    )
    sampler: Sampler | None = None
    pruner: Pruner | None = None
    budget: Budget | None = Field(None, description="the complete new budget")


class Points(Spec):
    """Points to try next, in addition to those of the sampler."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"points": [{"optimizer.learning_rate": 0.01}]}]}
    )

    points: Annotated[
        tuple[dict[Path, JsonValue], ...],
        Field(
            min_length=1,
            max_length=1000,
            description="each adds a trial; the sampler chooses the fields left out",
            examples=[[{"optimizer.learning_rate": 0.01}]],
        ),
    ]


def misplaced(
    sweep: SweepSpec, points: Sequence[Mapping[str, Any]], name: str
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield the location in the list `name` and the error of points outside the search space."""
    for index, point in enumerate(points):
        for path, value in point.items():
            dimension = sweep.search_space.get(path)
            if dimension is None:
                yield (name, index, path), "not in the search space"
            elif not dimension.contains(value):
                yield (name, index, path), f"{value!r} is outside the search space"


def _error(message: str, *location: str | int, value: Any = None) -> InitErrorDetails:
    return {
        "type": PydanticCustomError("sweep", "{message}", {"message": message}),
        "loc": location,
        "input": value,
    }


def _paths(sweep: SweepSpec) -> Iterator[InitErrorDetails]:
    document = sweep.job.model_dump(mode="json")
    previous: dict[paths.Steps, str] = {}
    for path in sweep.search_space:
        try:
            steps = paths.parse(path)
        except ValueError as error:
            yield _error(str(error), "search_space", path)
            continue
        conditional = bool(sweep.search_space[path].when)
        missing = None if conditional else paths.missing(document, steps)
        if (shared := _shared(steps)) is not None:
            yield _error(f"all trials share the job's {shared}", "search_space", path)
        elif missing is not None:
            yield _error(f"not a field of the job: {missing}", "search_space", path)
        elif conditional:
            yield from _conditions(sweep, document, path)
        for other, name in previous.items():
            if not conditional and paths.overlap(steps, other):
                yield _error(f"{path} and {name} overlap", "search_space", path)
        if not conditional:
            previous[steps] = path


def _shared(steps: paths.Steps) -> str | None:
    """Return the field of a path that all trials share, or None."""
    if steps[0] == "data" and (len(steps) == 1 or steps[1] not in SEARCHED_DATA):
        return ".".join(map(str, steps[:2]))
    return str(steps[0]) if steps[0] in FIXED else None


def _conditions(sweep: SweepSpec, document: Any, path: str) -> Iterator[InitErrorDetails]:
    """Errors of a `when` that cannot be read, or that no point of the space meets."""
    if sweep.sampler.exhaustive:
        message = f"{sweep.sampler.kind} would visit the same jobs several times: leave `when` out"
        yield _error(message, "search_space", path)
        return
    try:
        point = meeting(document, sweep.search_space, path)
    except (ValueError, LookupError, TypeError) as error:
        yield _error(f"`when` cannot be read: {error}", "search_space", path, "when")
        return
    if point is None:
        message = "no value of the job or of the fields without `when` meets this condition"
        yield _error(message, "search_space", path, "when")


def _folds(sweep: SweepSpec) -> Iterator[InitErrorDetails]:
    """Errors of folds that do not fit the split of the job."""
    validation, split = sweep.cross_validation, sweep.job.data.split
    if validation is None:
        return
    if split.fold is not None:
        yield _error("the sweep sets the folds: remove this field", "job", "data", "split", "fold")
    if validation.group_by is not None and split.column is not None:
        message = f"the column {split.column!r} assigns the test rows, which may split groups"
        yield _error(message, "cross_validation", "group_by")
    if validation.group_by is not None and split.order_by is not None:
        message = f"rows are split in the order of {split.order_by!r}, which may split groups"
        yield _error(message, "cross_validation", "group_by")
    if validation.stratified and split.order_by is not None:
        message = "folds in an order cannot be stratified: remove this field"
        yield _error(message, "cross_validation", "stratified")
    if validation.stratified and (validation.group_by or split.group_by):
        message = "folds of whole groups cannot be stratified: remove one of the two"
        yield _error(message, "cross_validation", "stratified")


def _values(sweep: SweepSpec) -> Iterator[InitErrorDetails]:
    """Errors of bounds and choices, each tried alone, and of baselines outside the space."""
    for path, value, point in sweep.probes():
        try:
            sweep.at(point)
        except ValidationError as error:
            reason = error.errors(include_url=False, include_context=False)[0]["msg"]
            yield _error(f"{value!r} makes the job invalid: {reason}", "search_space", path)
    for location, message in misplaced(sweep, sweep.baseline, "baseline"):
        yield _error(message, *location)


def _objectives(sweep: SweepSpec) -> Iterator[InitErrorDetails]:
    job = sweep.jobs(sweep.job)[0]
    each_epoch = reported(job)
    known = each_epoch | after_training(job)
    several = not isinstance(sweep.objective, Objective)
    for index, objective in enumerate(sweep.objectives):
        location = ("objective", index, "metric") if several else ("objective", "metric")
        if objective.metric not in known:
            yield _error(
                f"{objective.metric!r} is not reported; reported are {', '.join(sorted(known))}",
                *location,
            )
        elif sweep.pruner.prunes and objective.metric not in each_epoch:
            yield _error(
                f"{objective.metric} is reported only at the end; a pruner needs it in each epoch",
                *location,
            )


def after_training(job: JobSpec) -> set[str]:
    """Return the metrics reported at the end of training, in addition to those of each epoch."""
    if not job.data.split.test:
        return set()
    return {f"test/{name}" for name in single_numbers(job)}


def _methods(sweep: SweepSpec) -> Iterator[InitErrorDetails]:
    count = len(sweep.objectives)
    if sweep.pruner.prunes and count > 1:
        yield _error("pruning needs a single objective", "pruner")
    if count > sweep.sampler.objectives:
        yield _error(f"{sweep.sampler.kind} takes a single objective", "sampler")
    if sweep.sampler.exhaustive:
        for path, dimension in sweep.search_space.items():
            if dimension.points() is None:
                yield _error(f"{sweep.sampler.kind} needs a step here", "search_space", path)
        points = sweep.search("").points()
        if points is not None and points > 1_000_000:
            yield _error(f"{points:,} points are too many to visit all", "sampler")
