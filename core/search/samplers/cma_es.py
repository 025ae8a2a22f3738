"""A cloud of points that moves and stretches towards the good ones."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from annotated_types import Ge
from optuna._transform import _SearchSpaceTransform
from optuna.samplers import BaseSampler, CmaEsSampler

from core.family import member
from core.search.sampler import Sampler, Seed, Space


class _Replaying(CmaEsSampler):  # type: ignore[misc]
    """Gets the cloud back by telling it the past generations again.

    Optuna keeps it pickled in an attribute of a trial; rows that are unpickled would let whoever
    writes them run code here.
    """

    _here: Any = None

    def sample_relative(self, study: Any, trial: Any, search_space: Any) -> dict[str, Any]:
        """The next point, of the generation that is due."""
        self._here = study.direction, search_space
        found: dict[str, Any] = super().sample_relative(study, trial, search_space)
        return found

    def _restore_optimizer(self, completed_trials: Sequence[Any]) -> Any:
        key = self._attr_key_generation
        newest = max((t.system_attrs.get(key, 0) for t in completed_trials), default=0)
        if newest == 0:
            return None
        direction, space = self._here
        transform = _SearchSpaceTransform(space, transform_step=True, transform_0_1=True)
        # Its seed is set before it is asked; what it costs here was not drawn back then.
        state = self._cma_rng.rng.get_state()
        optimizer = self._init_optimizer(transform, direction)
        self._cma_rng.rng.set_state(state)
        sign = 1.0 if direction.name == "MINIMIZE" else -1.0
        while optimizer.generation < newest:
            told = self._get_solution_trials(completed_trials, optimizer.generation)
            told = told[: optimizer.population_size]
            if len(told) < optimizer.population_size:
                break
            optimizer.tell([(transform.transform(t.params), sign * t.value) for t in told])
        return optimizer


@member
class CmaEs(Sampler):
    """Covariance matrix adaptation (Hansen, 2001); for numbers. Choices are made by chance."""

    kind: Literal["cma_es"] = "cma_es"
    adaptive = True
    objectives = 1
    startup_trials: Annotated[int, Ge(1)] = 1
    population: Annotated[int, Ge(2)] | None = None
    seed: Seed = 0

    def make(self, space: Space) -> BaseSampler:
        return _Replaying(
            n_startup_trials=self.startup_trials,
            popsize=self.population,
            seed=self.seed,
            warn_independent_sampling=False,
        )

    @classmethod
    def examples(cls) -> Iterator["CmaEs"]:
        yield cls(seed=3, population=4)
