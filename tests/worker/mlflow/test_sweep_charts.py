"""The picture of a sweep shows every finished trial, on axes that suit the searched fields."""

from typing import Any
from xml.etree import ElementTree

from core.search.study import TrialRecord
from core.spec.sweep import EXAMPLE, SweepSpec
from core.sweeps import SweepResults
from worker.mlflow.sweep_charts import MAX_POINTS, sweep_charts

SVG = "{http://www.w3.org/2000/svg}"
SEARCH = SweepSpec.model_validate(EXAMPLE).search("digits")
RATE, UNITS = "optimizer.learning_rate", "network[0].units"


def trial(number: int, *objectives: float, **fields: Any) -> TrialRecord:
    values = {RATE: 10.0 ** -(number % 4), UNITS: 16 << number % 3}
    return TrialRecord(number, **{"values": values, "objectives": objectives, **fields})


def results(*trials: TrialRecord) -> SweepResults:
    return SweepResults("digits", SEARCH, ("valid/accuracy",), trials)


def panels(trials: SweepResults) -> dict[str, ElementTree.Element]:
    """The panels of the picture by title."""
    groups = ElementTree.fromstring(sweep_charts(trials)).iter(SVG + "g")
    return {str(next(group.iter(SVG + "text")).text): group for group in groups}


def dots(panel: ElementTree.Element) -> int:
    return len(list(panel.iter(SVG + "circle")))


def test_there_is_no_picture_before_a_trial_has_finished() -> None:
    assert sweep_charts(results()) == ""
    assert sweep_charts(results(trial(0), trial(1, outcome="failed"))) == ""


def test_each_finished_trial_is_a_point_in_each_panel() -> None:
    ended = [trial(n, 0.5 + n / 100, outcome="finished", reports={1: 0.4}) for n in range(5)]
    shown = panels(results(*ended, trial(5, outcome="failed"), trial(6, 0.1, outcome="pruned")))
    assert {title: dots(panel) for title, panel in shown.items()} == {
        "valid/accuracy by trial": 5,
        f"valid/accuracy by {RATE} (log10)": 5,
        f"valid/accuracy by {UNITS}": 5,
        "valid/accuracy by epoch, newest trials": 5,
    }
    (line,) = shown["valid/accuracy by trial"].iter(SVG + "polyline")
    heights = [float(place.split(",")[1]) for place in str(line.get("points")).split()]
    assert heights == sorted(heights, reverse=True)


def test_choices_have_a_place_each_and_missing_values_none() -> None:
    ended = [
        trial(n, 0.5, outcome="finished", values={UNITS: ["a", True, None][n]}) for n in range(3)
    ]
    shown = panels(results(*ended))
    assert dots(shown[f'valid/accuracy by {UNITS}: "a", true']) == 2
    assert f"valid/accuracy by {RATE}: no numbers" in shown


def test_thousands_of_trials_stay_small() -> None:
    shown = panels(results(*(trial(n, n / 5000, outcome="finished") for n in range(5000))))
    assert dots(shown["valid/accuracy by trial"]) == MAX_POINTS
