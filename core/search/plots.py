"""Plots of a search as HTML pages that load nothing, drawn by Optuna's visualization module.

They are described in https://optuna.readthedocs.io under "Visualization".
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import optuna
from optuna.importance import PedAnovaImportanceEvaluator

from core.errors import ConflictError, FieldError, InvalidError
from core.search.plot_kinds import PlotKind
from core.search.study import Search, TrialRecord, build_study, quiet

_Plot: TypeAlias = Callable[[optuna.Study, list[str], int], Any]

MOST_PARAMETERS = 6
"""Contours are plotted for each pair of at most so many fields, the most important ones."""


def plot(
    search: Search,
    records: Sequence[TrialRecord],
    kind: PlotKind,
    metrics: Sequence[str],
    objective: int,
) -> str:
    """Return a plot of the trials as an HTML page; `metrics` are the names of the objectives.

    A plot of one objective shows that with index `objective`. Raises InvalidError for a plot that
    does not apply to the search, ConflictError while there are too few trials.
    """
    if not 0 <= objective < len(metrics):
        message = f"there is no objective {objective}; the last is {len(metrics) - 1}"
        raise InvalidError(message, [FieldError("query.objective", message)])
    if kind == "pareto_front" and not 2 <= len(metrics) <= 3:
        raise InvalidError("a Pareto front needs two or three objectives")
    if kind == "learning_curves":
        if not any(record.reports for record in records):
            raise ConflictError("no trial has reported anything yet")
    elif not any(record.outcome == "finished" for record in records):
        raise ConflictError("no trial has finished yet")
    with quiet():
        figure = _figure(build_study(search, records), kind, metrics, objective)
    page: str = figure.to_html(full_html=True, include_plotlyjs=True)
    return page


def _figure(study: optuna.Study, kind: PlotKind, metrics: Sequence[str], objective: int) -> Any:
    figure = _PLOTS[kind](study, list(metrics), objective)
    figure.update_layout(title={"text": f"{kind.replace('_', ' ')}: {', '.join(metrics)}"})
    return figure


def _target(metrics: list[str], objective: int) -> dict[str, Any]:
    """Return the arguments that select one objective of a study."""
    if len(metrics) == 1:
        return {"target_name": metrics[0]}
    return {"target": lambda trial: trial.values[objective], "target_name": metrics[objective]}


def _simple(function: str) -> _Plot:
    """Return a plot of one objective that a function of Optuna draws without other arguments."""
    return lambda study, metrics, objective: getattr(optuna.visualization, function)(
        study, **_target(metrics, objective)
    )


def _importances(study: optuna.Study, metrics: list[str], objective: int) -> Any:
    _check_varied(study)
    return optuna.visualization.plot_param_importances(
        study, PedAnovaImportanceEvaluator(), **_target(metrics, objective)
    )


def _contours(study: optuna.Study, metrics: list[str], objective: int) -> Any:
    options = _target(metrics, objective)
    names = list(study.get_trials(deepcopy=False)[0].params)
    if len(names) < 2:
        raise InvalidError("contours need two searched fields")
    if len(names) > MOST_PARAMETERS:
        _check_varied(study)
        importances = optuna.importance.get_param_importances(
            study, evaluator=PedAnovaImportanceEvaluator(), target=options.get("target")
        )
        names = list(importances)[:MOST_PARAMETERS]
    return optuna.visualization.plot_contour(study, names, **options)


def _learning_curves(study: optuna.Study, *_: Any) -> Any:
    return optuna.visualization.plot_intermediate_values(study)


def _pareto_front(study: optuna.Study, metrics: list[str], _: int) -> Any:
    return optuna.visualization.plot_pareto_front(study, target_names=metrics)


def _check_varied(study: optuna.Study) -> None:
    """Raise ConflictError if the objectives of the finished trials do not differ."""
    finished = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    if len({tuple(trial.values) for trial in finished}) < 2:
        raise ConflictError("importances need finished trials whose objectives differ")


_PLOTS: Mapping[PlotKind, _Plot] = {
    "history": _simple("plot_optimization_history"),
    "importances": _importances,
    "parallel_coordinates": _simple("plot_parallel_coordinate"),
    "slices": _simple("plot_slice"),
    "contours": _contours,
    "distribution": _simple("plot_edf"),
    "learning_curves": _learning_curves,
    "pareto_front": _pareto_front,
}
