"""CMA-ES sampler."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge
from optuna._transform import _SearchSpaceTransform
from optuna.samplers import BaseSampler, CmaEsSampler

from core.family import Examples, member
from core.search.sampler import Sampler, Seed, Space


class _Replaying(CmaEsSampler):  # type: ignore[misc]
    """Restores the optimizer by replaying past generations.

    Optuna stores the optimizer pickled in an attribute of a trial. Unpickling rows would let anyone
    who can write them run code in this process.
    """

    _direction_and_space: Any = None

    def sample_relative(self, study: Any, trial: Any, search_space: Any) -> dict[str, Any]:
        """Return the next point of the current generation."""
        self._direction_and_space = study.direction, search_space
        point: dict[str, Any] = super().sample_relative(study, trial, search_space)
        return point

    def _restore_optimizer(self, completed_trials: Sequence[Any]) -> Any:
        key = self._attr_key_generation
        newest = max((t.system_attrs.get(key, 0) for t in completed_trials), default=0)
        if newest == 0:
            return None
        direction, space = self._direction_and_space
        transform = _SearchSpaceTransform(space, transform_step=True, transform_0_1=True)
        # Building the optimizer draws a seed, which the original run did not draw here.
        state = self._cma_rng.rng.get_state()
        optimizer = self._init_optimizer(transform, direction)
        self._cma_rng.rng.set_state(state)
        sign = 1.0 if direction.name == "MINIMIZE" else -1.0
        while optimizer.generation < newest:
            trials = self._get_solution_trials(completed_trials, optimizer.generation)
            trials = trials[: optimizer.population_size]
            if len(trials) < optimizer.population_size:
                break
            optimizer.tell([(transform.transform(t.params), sign * t.value) for t in trials])
        return optimizer


@member
class CmaEs(Sampler):
    """Covariance matrix adaptation (Hansen, 2001) of numbers; choices are random."""

    kind: Literal["cma_es"] = "cma_es"
    adaptive = True
    objectives = 1
    startup_trials: Annotated[int, Ge(1)] = 1
    population: Annotated[int, Ge(2)] | None = None
    seed: Seed = 0
    EXAMPLES: ClassVar[Examples] = ({"seed": 3, "population": 4},)

    def make(self, space: Space) -> BaseSampler:
        return _Replaying(
            n_startup_trials=self.startup_trials,
            popsize=self.population,
            seed=self.seed,
            warn_independent_sampling=False,
        )
