"""Every schedule: pure, within bounds, the same in a stack as alone."""

import math
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

import core.nn.schedules  # noqa: F401
from core.family import members
from core.nn.schedule import Progress, Schedule
from core.nn.schedules.cosine import Cosine
from core.nn.schedules.reduce_on_plateau import ReduceOnPlateau
from core.nn.schedules.step import Step
from core.nn.schedules.warm_restarts import WarmRestarts
from core.nn.schedules.warm_up import WarmUp

CASES = [case for one in members(Schedule).values() for case in one.examples()]
CASES.append(WarmUp(steps=7, start=0.2, then=Cosine(end=0.1)))
EPOCHS, BATCHES = 20, 5
LOSSES = (1.0, 0.9, 0.95, 0.91, 0.9, *(0.8,) * 15)


def name(case: Any) -> str:
    return f"{case.kind}-{[getattr(case, f.name) for f in fields(case)][1:]}"


def progress(step: int, losses: Any = LOSSES) -> Progress:
    epoch = step // BATCHES
    return Progress(step, epoch, EPOCHS * BATCHES, EPOCHS, tuple(losses[:epoch]))


@pytest.mark.parametrize("case", CASES, ids=name)
def test_factors_are_plain_numbers_from_zero_to_one(case: Any) -> None:
    factors = [case.factor(progress(step)) for step in range(EPOCHS * BATCHES + 3)]
    assert all(type(f) is float for f in factors)
    assert all(0 <= f <= 1 for f in factors)
    assert case.kind == "constant" or len(set(factors)) > 1
    assert factors[::-1] == [
        case.factor(progress(step)) for step in reversed(range(EPOCHS * BATCHES + 3))
    ]


@pytest.mark.parametrize("case", CASES, ids=name)
def test_a_stack_gets_what_each_network_gets_alone(case: Any) -> None:
    floats = [f.name for f in fields(case) if isinstance(getattr(case, f.name), float)]
    solos = [
        replace(case, **{n: getattr(case, n) * (1 - 0.03 * row) for n in floats})
        for row in range(3)
    ]
    together = replace(
        case, **{n: np.array([[getattr(solo, n)] for solo in solos]) for n in floats}
    )
    histories = [[loss * (1 + row * (i % 3)) for i, loss in enumerate(LOSSES)] for row in range(3)]
    columns = [np.array(column) for column in zip(*histories, strict=True)]
    upright = [column[:, None] for column in columns]
    for step in range(EPOCHS * BATCHES):
        factor = together.factor(progress(step, columns if step % 2 else upright))
        expected = [
            [solo.factor(progress(step, h))] for solo, h in zip(solos, histories, strict=True)
        ]
        np.testing.assert_array_equal(np.broadcast_to(factor, (3, 1)), expected)


@pytest.mark.parametrize("case", CASES, ids=name)
def test_a_member_survives_validation(case: Any) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(Schedule)
    assert adapter.validate_json(adapter.dump_json(case)) == case


def test_a_warm_up_stands_in_front_of_any() -> None:
    spec = {"kind": "warm_up", "steps": 4, "then": {"kind": "step", "every": 2, "unit": "step"}}
    schedule = TypeAdapter(Schedule).validate_python(spec)
    assert schedule == WarmUp(steps=4, then=Step(every=2, unit="step"))
    factors = [schedule.factor(progress(step)) for step in range(8)]
    np.testing.assert_allclose(factors, [0, 0.25, 0.5, 0.75, 1, 1, 0.1, 0.1])


def test_restarts_come_after_longer_and_longer_periods() -> None:
    schedule = WarmRestarts(period=2, growth=2, unit="step")
    peaks = [step for step in range(30) if schedule.factor(progress(step)) == 1.0]
    assert peaks == [0, 2, 6, 14]
    by_epoch = WarmRestarts(period=3)
    peaks = [step for step in range(60) if math.isclose(by_epoch.factor(progress(step)), 1.0)]
    assert peaks == [0, 15, 30, 45]


def test_a_plateau_is_waited_out_and_a_drop_is_no_plateau() -> None:
    schedule = ReduceOnPlateau(decay=0.5, patience=1, tolerance=0.1)

    def factors(*losses: float) -> list[float]:
        return [schedule.factor(Progress(0, i, 9, 9, losses[:i])) for i in range(len(losses) + 1)]

    assert factors(4.0, 2.0, 1.0, 0.5) == [1.0] * 5
    assert factors(4.0, 3.7, 3.7) == [1.0, 1.0, 1.0, 0.5]
    assert factors(-1.0, -1.05, -1.05) == [1.0, 1.0, 1.0, 0.5]
    assert factors(1.0, math.nan, math.nan) == [1.0, 1.0, 1.0, 0.5]


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "step", "every": 0},
        {"kind": "exponential", "decay": 1.5},
        {"kind": "one_cycle", "rise": 1},
        {"kind": "warm_up", "then": {"kind": "cosine", "end": 2}},
        {"kind": "reduce_on_plateau", "patience": -1},
    ],
)
def test_what_makes_no_sense_is_refused(wrong: Any) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Schedule).validate_python(wrong)


@pytest.mark.parametrize(("period", "growth"), [(1, 1), (3, 1), (1, 2)])
def test_restarts_begin_with_the_epoch_however_many_steps_it_has(period: int, growth: int) -> None:
    case = WarmRestarts(period=period, growth=growth)
    starts, length = [0], period
    while starts[-1] < 100:
        starts.append(starts[-1] + length)
        length *= growth
    for batches in range(1, 60):
        for epoch in range(100):
            now = Progress(epoch * batches, epoch, 100 * batches, 100)
            assert (case.factor(now) == 1) == (epoch in starts), (batches, epoch)
