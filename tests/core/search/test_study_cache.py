"""A study that is kept and updated answers as one built anew from all trials."""

import json
from dataclasses import replace

import pytest

from core.search.pruner import Pruner
from core.search.sampler import Sampler
from core.search.samplers.random import Random
from core.search.study import Outcome, TrialRecord
from core.search.study_cache import CachedStudy
from tests.core.search.test_study import PRUNERS, SAMPLERS, judge, search, sequence, value

AT_ONCE = 4


def ended(one: TrialRecord) -> TrialRecord:
    """A trial as its row has it after its end; each seventh one failed."""
    if one.number % 7 == 3:
        return replace(one, outcome="failed")
    return replace(one, outcome="finished", objectives=[value(one.values)])


def course(sampler: Sampler, count: int, *, kept: bool) -> list[TrialRecord]:
    """The trials of a search that always has four trials without a result."""
    s = search(sampler)
    records: list[TrialRecord] = []
    study, state = CachedStudy(s, records), None
    chosen = {} if sampler.exhaustive else {5: {"y": 6}}
    while len(records) < count:
        if not kept:
            study = CachedStudy(s, records)
        found, state = study.ask(2, state=state, chosen=chosen)
        state = json.loads(json.dumps(state))
        for one in found:
            records.append(TrialRecord(one.number, one.values, attributes=one.attributes))
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
    study, state, points = CachedStudy(s, []), None, []
    for _ in range(15):
        (one,), state = study.ask(1, state=state)
        points.append(dict(one.values))
        result = [value(one.values)]
        record = TrialRecord(one.number, one.values, "finished", result, attributes=one.attributes)
        study.update([record])
    assert points == sequence(s, 15)


@pytest.mark.parametrize("pruner", PRUNERS, ids=repr)
def test_judging_is_equal(pruner: Pruner) -> None:
    s = search(Random(), pruner)
    rows: list[TrialRecord] = []
    study = CachedStudy(s, rows)
    for number in range(12):
        mine = TrialRecord(number, {"x": 0.0, "y": 1, "z": 1})
        rows.append(mine)
        study.update([mine])
        for epoch in range(1, 10):
            level = (number * 5) % 12 + 0.01 * epoch
            mine = replace(mine, reports={**mine.reports, epoch: level})
            rows[number] = mine
            study.update([mine])
            verdict, attributes = study.judge(number, after=epoch - 1)
            assert (verdict, attributes) == judge(s, rows, number, after=epoch - 1)
            rows[number] = mine = replace(mine, attributes=attributes)
            if verdict is not None:
                break
        outcome: Outcome = "pruned" if verdict is not None else "finished"
        rows[number] = replace(mine, outcome=outcome, objectives=[level])
        study.update([rows[number]])
