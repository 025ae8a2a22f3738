"""Pictures of a search and its Optuna file: made of what was records, readable by Optuna itself."""

import json
import math
import re
from pathlib import Path
from typing import Any

import optuna
import pytest
from sqlalchemy import Engine, event

from core.errors import ConflictError, InvalidError
from core.search.plot_kinds import KINDS, PlotKind, kinds
from core.search.plots import plot
from core.search.study import Search, TrialRecord, build_study
from core.search.study_export import export
from core.spec.sweep import EXAMPLE, SweepSpec

SPEC = SweepSpec.model_validate(EXAMPLE)
SEARCH = SPEC.search("digits")
METRICS = ["valid/accuracy"]


def trial(number: int, *objectives: float, outcome: Any = "finished") -> TrialRecord:
    values = {"optimizer.learning_rate": 0.001 * (number + 1), "network[0].units": 16 << number % 3}
    reports = {epoch: objectives[0] / 2 + epoch / 100 for epoch in (1, 2)} if objectives else {}
    return TrialRecord(number, values, outcome, objectives, reports)


RECORDS = [
    *(trial(number, 0.5 + number / 100) for number in range(8)),
    trial(8, 0.4, outcome="pruned"),
    trial(9, outcome="failed"),
    trial(10, outcome="open"),
]


def drawn(page: str) -> list[Any]:
    """The data of a page's picture."""
    match = re.search(r'Plotly\.newPlot\(\s*"[^"]+",\s*(\[.*?\]),\s*\{', page, re.S)
    assert match is not None
    data: list[Any] = json.loads(match.group(1))
    return data


@pytest.mark.parametrize("kind", kinds(2, 1))
def test_every_picture_of_one_objective_is_a_page_of_its_own(kind: PlotKind) -> None:
    page = plot(SEARCH, RECORDS, kind, METRICS, 0)
    assert "<script" in page
    assert not re.search(r"<script[^>]+src=", page)
    assert drawn(page)


def test_the_history_shows_every_finished_trial_and_the_best_so_far() -> None:
    points = drawn(plot(SEARCH, RECORDS, "history", METRICS, 0))[0]
    assert points["x"] == list(range(8))


def test_a_front_is_of_several_objectives() -> None:
    search = Search(
        "two", SEARCH.space, ["maximize", "minimize"], SEARCH.sampler, SEARCH.pruner, epochs=2
    )
    records = [trial(number, 0.5 + number / 100, 1.0 + number % 3) for number in range(6)]
    names = ["valid/accuracy", "valid/loss"]
    assert set(kinds(2, 2)) == set(KINDS)
    for kind in kinds(2, 2):
        assert drawn(plot(search, records, kind, names, 1))
    with pytest.raises(InvalidError, match="no objective 2"):
        plot(search, records, "history", names, 2)
    with pytest.raises(InvalidError, match="two or three"):
        plot(SEARCH, RECORDS, "pareto_front", METRICS, 0)


@pytest.mark.parametrize("kind", kinds(2, 1))
def test_while_nothing_ended_there_is_no_picture(kind: PlotKind) -> None:
    with pytest.raises(ConflictError, match="no trial has"):
        plot(SEARCH, [trial(0, outcome="open")], kind, METRICS, 0)


def test_equal_results_say_nothing_about_importance() -> None:
    same = [trial(number, 0.5) for number in range(4)]
    with pytest.raises(ConflictError, match="differ"):
        plot(SEARCH, same, "importances", METRICS, 0)


def test_names_cannot_become_markup() -> None:
    page = plot(SEARCH, RECORDS, "history", ["</script><b>valid"], 0)
    assert "</script><b>" not in page


def test_optuna_opens_the_file_and_finds_every_trial(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    export(SEARCH, RECORDS, path, "digits-1")
    study = optuna.load_study(study_name="digits-1", storage=f"sqlite:///{path}")
    assert study.best_trial.number == 7
    assert study.best_params["network[0].units"] == 16 << 7 % 3
    states = [one.state.name for one in study.get_trials()]
    assert states == ["COMPLETE"] * 8 + ["PRUNED", "FAIL", "RUNNING"]
    assert study.trials[3].intermediate_values == RECORDS[3].reports


def test_the_file_is_as_optuna_writes_it(tmp_path: Path) -> None:
    attributes = {"rung": [1, 2.5], "name": "ü"}
    odd = [
        TrialRecord(0, trial(0).values, "finished", (math.inf,), {1: math.nan, 2: -math.inf}),
        TrialRecord(1, trial(1).values, "finished", (-math.inf,), {}, attributes),
    ]
    records = [*odd, *(trial(number, 0.5) for number in range(2, 6)), trial(6, outcome="open")]
    export(SEARCH, records, tmp_path / "ours.db", "s")
    storage = f"sqlite:///{tmp_path / 'theirs.db'}"
    theirs = optuna.create_study(storage=storage, study_name="s", direction="maximize")
    theirs.add_trials(build_study(SEARCH, records).get_trials())
    ours = optuna.load_study(study_name="s", storage=f"sqlite:///{tmp_path / 'ours.db'}")
    assert ours.directions == theirs.directions
    for mine, other in zip(ours.trials, theirs.trials, strict=True):
        for name in ("number", "state", "values", "params", "distributions", "system_attrs"):
            assert getattr(mine, name) == getattr(other, name), name
        assert str(mine.intermediate_values) == str(other.intermediate_values)
        assert (mine.datetime_complete is None) == (other.datetime_complete is None)
    # It can be continued.
    ours.tell(ours.ask(), 0.9)
    assert ours.trials[-1].number == len(records)


def test_thousands_of_trials_are_written_with_few_statements(
    tmp_path: Path,
) -> None:
    statements: list[str] = []

    def count(_: Any, __: Any, statement: str, *___: Any) -> None:
        statements.append(statement)

    event.listen(Engine, "before_cursor_execute", count)
    try:
        export(SEARCH, [trial(n, n / 2000) for n in range(2000)], tmp_path / "s.db", "s")
    finally:
        event.remove(Engine, "before_cursor_execute", count)
    assert len(statements) < 200
    study = optuna.load_study(study_name="s", storage=f"sqlite:///{tmp_path / 's.db'}")
    assert len(study.trials) == 2000
