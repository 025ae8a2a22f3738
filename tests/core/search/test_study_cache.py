"""A notebook kept from look to look says what one says that is begun anew from all trials."""

import json
from dataclasses import replace

import pytest

from core.search.pruner import Pruner
from core.search.sampler import Sampler
from core.search.samplers.random import Random
from core.search.study import Tried
from core.search.study_cache import Notebook
from tests.core.search.test_study import PRUNERS, SAMPLERS, judge, search, sequence, value

AT_ONCE = 4


def told(one: Tried) -> Tried:
    """A trial as its row has it once it ended; each seventh failed."""
    if one.number % 7 == 3:
        return replace(one, outcome="failed")
    return replace(one, outcome="finished", objectives=[value(one.values)])


def course(sampler: Sampler, count: int, *, kept: bool) -> list[Tried]:
    """The trials of a search that is always four trials ahead of what it knows of the results."""
    s = search(sampler)
    tried: list[Tried] = []
    notebook, state = Notebook(s, tried), None
    wanted = {} if sampler.counted else {5: {"y": 6}}
    while len(tried) < count:
        if not kept:
            notebook = Notebook(s, tried)
        found, state = notebook.ask(2, state=state, wanted=wanted)
        state = json.loads(json.dumps(state))
        for one in found:
            tried.append(Tried(one.number, one.values, attributes=one.attributes))
        if len(tried) > AT_ONCE:
            # The later one ends first.
            for number in (len(tried) - AT_ONCE - 1, len(tried) - AT_ONCE - 2):
                tried[number] = told(tried[number])
                notebook.write([tried[number]])
    return tried


@pytest.mark.parametrize("sampler", SAMPLERS, ids=repr)
def test_what_is_asked(sampler: Sampler) -> None:
    assert course(sampler, 30, kept=True) == course(sampler, 30, kept=False)


@pytest.mark.parametrize("sampler", SAMPLERS, ids=repr)
def test_one_after_another_it_suggests_what_rows_do(sampler: Sampler) -> None:
    s = search(sampler)
    notebook, state, points = Notebook(s, []), None, []
    for _ in range(15):
        (one,), state = notebook.ask(1, state=state)
        points.append(dict(one.values))
        result = [value(one.values)]
        ended = Tried(one.number, one.values, "finished", result, attributes=one.attributes)
        notebook.write([ended])
    assert points == sequence(s, 15)


@pytest.mark.parametrize("pruner", PRUNERS, ids=repr)
def test_what_is_judged(pruner: Pruner) -> None:
    s = search(Random(), pruner)
    rows: list[Tried] = []
    notebook = Notebook(s, rows)
    for number in range(12):
        mine = Tried(number, {"x": 0.0, "y": 1, "z": 1})
        rows.append(mine)
        notebook.write([mine])
        for epoch in range(1, 10):
            level = (number * 5) % 12 + 0.01 * epoch
            mine = replace(mine, reports={**mine.reports, epoch: level})
            rows[number] = mine
            notebook.write([mine])
            found = notebook.judge(number, seen=epoch - 1)
            assert found == judge(s, rows, number, seen=epoch - 1)
            rows[number] = mine = replace(mine, attributes=found[1])
            if found[0] is not None:
                break
        outcome = "pruned" if found[0] is not None else "finished"
        rows[number] = replace(mine, outcome=outcome, objectives=[level])
        notebook.write([rows[number]])
