"""Each sampler and pruner answers as Optuna's own, also after an interruption."""

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import optuna
import pytest
from pydantic import JsonValue

import core.search.dimensions
import core.search.pruners
import core.search.samplers  # noqa: F401
from core.family import members
from core.search.dimension import Dimension
from core.search.dimensions.categorical import Categorical
from core.search.dimensions.float import Float
from core.search.dimensions.int import Int
from core.search.pruner import Pruner
from core.search.pruners.median import Median
from core.search.pruners.none import NoPruner
from core.search.pruners.successive_halving import SuccessiveHalving
from core.search.pruners.threshold import Threshold
from core.search.sampler import Sampler
from core.search.samplers.quasi_random import QuasiRandom
from core.search.samplers.random import Random
from core.search.study import Outcome, Search, Study, Suggestion, TrialRecord

# `members` takes the abstract base of a family.
SAMPLERS = [e for kind in members(Sampler).values() for e in kind.examples()]
PRUNERS = [e for kind in members(Pruner).values() for e in kind.examples()]
DIMENSIONS = [e for kind in members(Dimension).values() for e in kind.examples()]
NUMBERS = {"x": Float(low=-2.0, high=2.0, step=0.5), "y": Int(low=0, high=6)}
SPACE = {**NUMBERS, "z": Categorical(choices=(1, {"kind": "a"}))}


def search(
    sampler: Sampler, pruner: Pruner | None = None, space: Mapping[str, Dimension] = SPACE
) -> Search:
    return Search("s", space, ["minimize"], sampler, pruner or NoPruner(), epochs=9)


def ask(
    s: Search, records: Sequence[TrialRecord], count: int, **given: Any
) -> tuple[list[Suggestion], dict[str, Any]]:
    """The next points of a search, by a study built for this call alone."""
    return Study(s, records).ask(count, **given)


def judge(
    s: Search, records: Sequence[TrialRecord], number: int, *, after: int = 0
) -> tuple[int | None, dict[str, Any]]:
    """The verdict of a pruner on a trial, by a study built for it alone."""
    return Study(s, records).judge(number, after=after)


def value(point: Mapping[str, Any]) -> float:
    return float((point["x"] - 0.5) ** 2 + (point["y"] - 2) ** 2 + (point.get("z", 1) != 1))


def sequence(s: Search, count: int, at_once: int = 1) -> list[dict[str, Any]]:
    """The points of a sweep whose every step starts from rows alone, as JSON keeps them."""
    records: list[TrialRecord] = []
    state = None
    while len(records) < count:
        suggestions, state = ask(s, records, min(at_once, count - len(records)), state=state)
        state = json.loads(json.dumps(state))
        for suggestion in suggestions:
            attributes = json.loads(json.dumps(suggestion.attributes))
            result = [value(suggestion.values)]
            records.append(
                TrialRecord(
                    suggestion.number, suggestion.values, "finished", result, attributes=attributes
                )
            )
    return [dict(suggestion.values) for suggestion in records]


def own(s: Search, count: int) -> list[dict[str, Any]]:
    """What Optuna's own study suggests when nothing interrupts it."""
    space = {path: dimension.distribution() for path, dimension in s.space.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study = optuna.create_study(sampler=s.sampler.make(space))
        points = []
        for _ in range(count):
            trial = study.ask(space)
            point = {
                path: dimension.from_optuna(trial.params[path])
                for path, dimension in s.space.items()
            }
            points.append(point)
            study.tell(trial, value(point))
        return points


@pytest.mark.parametrize("sampler", SAMPLERS, ids=repr)
@pytest.mark.parametrize("space", [SPACE, NUMBERS], ids=["mixed", "numbers"])
def test_a_sweep_from_rows_is_optunas_own(sampler: Sampler, space: dict[str, Any]) -> None:
    s = search(sampler, space=space)
    assert sequence(s, 25) == own(s, 25)


@pytest.mark.parametrize("sampler", SAMPLERS, ids=repr)
def test_without_feedback_the_number_at_once_decides_nothing(sampler: Sampler) -> None:
    s = search(sampler)
    alone, parallel = sequence(s, 24), sequence(s, 24, at_once=8)
    if not sampler.adaptive:
        assert alone == parallel
    assert alone == sequence(s, 24)
    assert parallel == sequence(s, 24, at_once=8)


@pytest.mark.parametrize("sampler", [s for s in SAMPLERS if s.exhaustive], ids=repr)
def test_exhaustive_samplers_visit_every_point_once(sampler: Sampler) -> None:
    s = search(sampler)
    count = s.points()
    assert count == 9 * 7 * 2
    points = sequence(s, count, at_once=10)
    assert len({json.dumps(point, sort_keys=True) for point in points}) == count


def test_different_seeds_differ() -> None:
    assert sequence(search(Random(seed=1)), 5) != sequence(search(Random(seed=2)), 5)
    assert sequence(search(QuasiRandom(seed=1)), 5) != sequence(search(QuasiRandom(seed=2)), 5)


def test_true_is_another_choice_than_one() -> None:
    both = Categorical(choices=(True, 1, {"a": [0]}, {"a": [False]}))
    suggested = both.distribution().choices
    assert [json.dumps(both.from_optuna(one)) for one in suggested] == [
        json.dumps(choice) for choice in both.choices
    ]
    assert len({both.distribution().to_internal_repr(one) for one in suggested}) == 4
    assert Categorical(choices=(True, False)).distribution().choices == (True, False)
    assert not Categorical(choices=(1, 0)).contains(True)
    assert Categorical(choices=(1, 0)).contains(1.0)
    repeated: tuple[tuple[JsonValue, ...], ...] = ((1, 1.0), (False, False), ([1], [1.0]))
    for twice in repeated:
        with pytest.raises(ValueError, match="twice"):
            Categorical(choices=twice)


@pytest.mark.parametrize("dimension", DIMENSIONS, ids=repr)
def test_a_dimension_contains_what_is_suggested_and_its_ends(dimension: Dimension) -> None:
    s = search(Random(seed=5), space={"x": dimension})
    for suggestion in ask(s, [], 20)[0]:
        assert dimension.contains(suggestion.values["x"])
    assert all(dimension.contains(end) for end in dimension.ends())
    assert not dimension.contains("elsewhere")
    assert not dimension.contains(10_000)


def test_baselines_come_first_and_may_leave_fields_open() -> None:
    s = search(Random(seed=5))
    first = {"x": 0.5, "y": 2, "z": {"kind": "a"}}
    suggestions, _ = ask(s, [], 3, chosen={0: first, 1: {"y": 6}})
    assert suggestions[0].values == first
    assert suggestions[1].values["y"] == 6
    assert SPACE["x"].contains(suggestions[1].values["x"])
    assert suggestions[2].number == 2


def reported(number: int, level: float, epochs: int, outcome: Outcome = "finished") -> TrialRecord:
    reports = dict.fromkeys(range(1, epochs + 1), level)
    result = [level] if outcome == "finished" else ()
    return TrialRecord(number, {"x": 0.0, "y": 1, "z": 1}, outcome, result, reports)


@pytest.mark.parametrize("pruner", PRUNERS, ids=repr)
def test_the_best_trial_is_never_pruned_and_judging_twice_says_the_same(pruner: Pruner) -> None:
    records = [reported(i, 1.0 + i, 9) for i in range(6)]
    best = reported(6, 0.6, 6, "open")
    falling = TrialRecord(6, best.values, "open", (), {e: 0.9 - 0.02 * e for e in best.reports})
    s = search(Random(), pruner)
    assert judge(s, [*records, falling], 6)[0] is None
    assert judge(s, [*records, falling], 6) == judge(s, [*records, falling], 6)


@pytest.mark.parametrize("pruner", [p for p in PRUNERS if p.prunes], ids=repr)
def test_trials_ever_worse_are_pruned(pruner: Pruner) -> None:
    s = search(Random(), pruner)
    records: list[TrialRecord] = []
    pruned = 0
    for number in range(12):
        reports = {epoch: float(number + 0.01 * epoch) for epoch in range(1, 10)}
        # What is below 0.5 is out of bounds for one of them.
        reports = {e: -v for e, v in reports.items()} if s.pruner.kind == "threshold" else reports
        record = TrialRecord(number, {"x": 0.0, "y": 1, "z": 1}, "open", (), reports)
        epoch, attributes = judge(s, [*records, record], number)
        pruned += epoch is not None
        seen = {e: v for e, v in reports.items() if epoch is None or e <= epoch}
        outcome: Outcome = "finished" if epoch is None else "pruned"
        records.append(
            TrialRecord(number, record.values, outcome, [max(seen.values())], seen, attributes)
        )
    assert pruned >= 3


def test_rungs_are_remembered_between_two_calls() -> None:
    s = search(Random(), SuccessiveHalving(reduction=2))
    bad = TrialRecord(1, {"x": 0.0, "y": 1, "z": 1}, "open", (), {1: 5.0})
    first = TrialRecord(0, bad.values, "open", (), {1: 1.0})
    epoch, attributes = judge(s, [first], 0)
    assert epoch is None
    assert attributes == {"completed_rung_0": 1.0}
    passed = TrialRecord(0, bad.values, "open", (), {1: 1.0}, attributes)
    assert judge(s, [passed, bad], 1)[0] == 1
    assert judge(s, [first, bad], 1)[0] is None


def test_epochs_seen_before_are_not_judged_again() -> None:
    late = TrialRecord(0, {"x": 0.0, "y": 1, "z": 1}, "open", (), {1: 9.0, 2: 0.0})
    s = search(Random(), Threshold(upper=5.0))
    assert judge(s, [late], 0)[0] == 1
    assert judge(s, [late], 0, after=1)[0] is None
    assert judge(search(Random(), Median()), [late], 0)[0] is None


# A study that is updated answers as one built anew from all trials.

AT_ONCE = 4


def ended(record: TrialRecord) -> TrialRecord:
    """A trial as its row has it after its end; each seventh one failed."""
    if record.number % 7 == 3:
        return replace(record, outcome="failed")
    return replace(record, outcome="finished", objectives=[value(record.values)])


def course(sampler: Sampler, count: int, *, kept: bool) -> list[TrialRecord]:
    """The trials of a search that always has four trials without a result."""
    s = search(sampler)
    records: list[TrialRecord] = []
    study, state = Study(s, records), None
    chosen = {} if sampler.exhaustive else {5: {"y": 6}}
    while len(records) < count:
        if not kept:
            study = Study(s, records)
        suggestions, state = study.ask(2, state=state, chosen=chosen)
        state = json.loads(json.dumps(state))
        for suggestion in suggestions:
            records.append(
                TrialRecord(suggestion.number, suggestion.values, attributes=suggestion.attributes)
            )
        if len(records) > AT_ONCE:
            # The later one ends first.
            for number in (len(records) - AT_ONCE - 1, len(records) - AT_ONCE - 2):
                records[number] = ended(records[number])
                study.update([records[number]])
    return records


@pytest.mark.parametrize("sampler", SAMPLERS, ids=repr)
def test_asking_is_equal(sampler: Sampler) -> None:
    assert course(sampler, 30, kept=True) == course(sampler, 30, kept=False)


@pytest.mark.parametrize("sampler", SAMPLERS, ids=repr)
def test_suggestions_one_by_one_equal_those_from_rows(sampler: Sampler) -> None:
    s = search(sampler)
    study, state, points = Study(s, []), None, []
    for _ in range(15):
        (suggestion,), state = study.ask(1, state=state)
        points.append(dict(suggestion.values))
        result = [value(suggestion.values)]
        record = TrialRecord(
            suggestion.number,
            suggestion.values,
            "finished",
            result,
            attributes=suggestion.attributes,
        )
        study.update([record])
    assert points == sequence(s, 15)


@pytest.mark.parametrize("pruner", PRUNERS, ids=repr)
def test_judging_is_equal(pruner: Pruner) -> None:
    s = search(Random(), pruner)
    rows: list[TrialRecord] = []
    study = Study(s, rows)
    for number in range(12):
        record = TrialRecord(number, {"x": 0.0, "y": 1, "z": 1})
        rows.append(record)
        study.update([record])
        for epoch in range(1, 10):
            level = (number * 5) % 12 + 0.01 * epoch
            record = replace(record, reports={**record.reports, epoch: level})
            rows[number] = record
            study.update([record])
            verdict, attributes = study.judge(number, after=epoch - 1)
            assert (verdict, attributes) == judge(s, rows, number, after=epoch - 1)
            rows[number] = record = replace(record, attributes=attributes)
            if verdict is not None:
                break
        outcome: Outcome = "pruned" if verdict is not None else "finished"
        rows[number] = replace(record, outcome=outcome, objectives=[level])
        study.update([rows[number]])


@pytest.mark.parametrize("sampler", [s for s in SAMPLERS if not s.exhaustive], ids=repr)
def test_points_without_inactive_values_do_not_depend_on_interruptions(sampler: Sampler) -> None:
    def active(point: dict[str, Any]) -> dict[str, Any]:
        return point if point["x"] > 0 else {"x": point["x"], "z": point["z"]}

    s = replace(search(sampler), active=active)
    study = Study(s, [])
    state = None
    for expected in sequence_of_active(s, 20):
        (suggestion,), state = study.ask(1, state=state)
        assert suggestion.values == expected
        study.update([finished(suggestion)])


def sequence_of_active(s: Search, count: int) -> list[dict[str, Any]]:
    """The points of a sweep with conditions, each asked of a study that is built for it alone."""
    records: list[TrialRecord] = []
    state = None
    while len(records) < count:
        (suggestion,), state = ask(s, records, 1, state=state)
        records.append(finished(suggestion))
    return [dict(record.values) for record in records]


def finished(suggestion: Suggestion) -> TrialRecord:
    """The trial of a suggestion with a result."""
    result = [value({"y": 0, **suggestion.values})]
    attributes = json.loads(json.dumps(suggestion.attributes))
    return TrialRecord(
        suggestion.number, suggestion.values, "finished", result, attributes=attributes
    )
