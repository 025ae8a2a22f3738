"""The best trials are kept as trials end, and equal those of a full comparison."""

import itertools
import random

import pytest
from sqlalchemy import Engine

from chainrule.contract.status import JobStatus
from core import sweeps
from core.db.session import reading, transaction
from core.db.tables import Sweep
from core.sweeps.trial_outcome import Ranked, best_of, dominates
from tests.support import single
from tests.support.job_cases import claimed, do
from tests.support.sweep_cases import started, table

TWO = [
    {"metric": "valid/accuracy", "direction": "maximize"},
    {"metric": "valid/loss", "direction": "minimize"},
]


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_best_trials_do_not_depend_on_the_order_in_which_trials_end(objectives: int) -> None:
    draw = random.Random(objectives)
    trials: list[Ranked] = [
        (number, tuple(float(draw.randrange(4)) for _ in range(objectives))) for number in range(30)
    ]
    front = [trial for trial in trials if not any(dominates(c, trial[1]) for _, c in trials)]
    expected = front if objectives > 1 else front[:1]
    for seed in range(5):
        best: list[Ranked] = []
        for trial in random.Random(seed).sample(trials, len(trials)):
            best = best_of([*best, trial])
        assert best == expected
    assert best_of([]) == []


@pytest.mark.parametrize("objective", [TWO[0], TWO], ids=["one", "two"])
def test_kept_best_trials_equal_a_full_comparison(engine: Engine, objective: object) -> None:
    sweep_id = started(engine, n_trials=8, max_parallel=8, objective=objective)
    sweeps.advance(engine, sweep_id)
    values = itertools.cycle([(0.5, 0.9), (0.7, 0.8), (0.7, 0.8), (0.1, 0.1), (0.6, 0.95)])
    for (_, job), (accuracy, loss) in zip(table(engine, sweep_id), values, strict=False):
        claim = claimed(engine, job.id)
        metrics = {"valid/accuracy": accuracy, "valid/loss": loss}
        done = JobStatus.FINISHED
        do(engine, single.finish, job.id, claim.attempt, done, result={"metrics": metrics})
        sweeps.advance(engine, sweep_id)
        with transaction(engine) as session:
            sweep = session.get_one(Sweep, sweep_id)
            kept = [trial.number for trial in sweeps.best(session, sweep)]
            leading, sweep.leading = sweep.leading, None
            assert [trial.number for trial in sweeps.best(session, sweep)] == kept
            sweep.leading = leading
    with reading(engine) as session:
        numbers = [t.number for t in sweeps.best(session, session.get_one(Sweep, sweep_id))]
    assert numbers == ([1] if objective is TWO[0] else [1, 2, 3, 6, 7])
    assert do(engine, sweeps.counts, sweep_id) == {"finished": 8}
