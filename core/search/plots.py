"""Pictures of a search, by Optuna's own visualisation: web pages that need nothing else.

What they show: https://optuna.readthedocs.io, "Visualization".
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal, TypeAlias, get_args

import optuna
from optuna.importance import PedAnovaImportanceEvaluator

from core.errors import ConflictError, FieldError, InvalidError
from core.search.study import Search, Tried, quiet, study_of

PlotKind: TypeAlias = Literal[
    "history",
    "importances",
    "parallel_coordinates",
    "slices",
    "contours",
    "distribution",
    "learning_curves",
    "pareto_front",
]
KINDS: tuple[PlotKind, ...] = get_args(PlotKind)


def kinds(fields: int, objectives: int) -> list[PlotKind]:
    """The pictures that a search of so many fields and objectives has."""
    without: set[PlotKind] = set() if 2 <= objectives <= 3 else {"pareto_front"}
    if fields < 2:
        without.add("contours")
    return [kind for kind in KINDS if kind not in without]


MOST_PARAMETERS = 6
"""Contours are drawn for each pair of so many fields at most: those that matter most."""


def plot(
    search: Search, tried: Sequence[Tried], kind: PlotKind, metrics: Sequence[str], objective: int
) -> str:
    """A web page with a picture of what was tried; `metrics` are the names of the objectives.

    Where a picture is of one objective, it is that of number `objective`. Raises InvalidError for
    a picture that such a search cannot have, ConflictError while too little was tried.
    """
    if not 0 <= objective < len(metrics):
        message = f"there is no objective {objective}; the last is {len(metrics) - 1}"
        raise InvalidError(message, [FieldError("query.objective", message)])
    if kind == "pareto_front" and not 2 <= len(metrics) <= 3:
        raise InvalidError("a Pareto front needs two or three objectives")
    if kind == "learning_curves" and not any(one.reports for one in tried):
        raise ConflictError("no trial has reported anything yet")
    ended = [one for one in tried if one.outcome == "finished"]
    if kind != "learning_curves" and not ended:
        raise ConflictError("no trial has finished yet")
    with quiet():
        figure = _figure(study_of(search, tried), kind, metrics, objective)
    page: str = figure.to_html(full_html=True, include_plotlyjs=True)
    return page


def album(search: Search, tried: Sequence[Tried], metrics: Sequence[str]) -> str:
    """One web page with each picture that there can be; empty while nothing has finished."""
    parts: list[str] = []
    if not any(one.outcome == "finished" for one in tried):
        return ""
    with quiet():
        study = study_of(search, tried)
        for kind in kinds(len(search.space), len(metrics)):
            if kind == "learning_curves" and not any(one.reports for one in tried):
                continue
            several = kind not in ("learning_curves", "pareto_front")
            for objective in range(len(metrics) if several else 1):
                with suppress(ConflictError, InvalidError):
                    figure = _figure(study, kind, metrics, objective)
                    parts.append(figure.to_html(full_html=False, include_plotlyjs=not parts))
    return _PAGE.format("\n".join(parts))


_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Sweep</title></head>
<body>
{}
</body></html>
"""


def _figure(study: optuna.Study, kind: PlotKind, metrics: Sequence[str], objective: int) -> Any:
    figure = _DRAWN[kind](study, list(metrics), objective)
    figure.update_layout(title={"text": f"{kind.replace('_', ' ')}: {', '.join(metrics)}"})
    return figure


def _one(study: optuna.Study, metrics: list[str], objective: int) -> dict[str, Any]:
    """What a picture of one objective is told."""
    if len(metrics) == 1:
        return {"target_name": metrics[0]}
    return {"target": lambda trial: trial.values[objective], "target_name": metrics[objective]}


def _history(study: optuna.Study, metrics: list[str], objective: int) -> Any:
    return optuna.visualization.plot_optimization_history(study, **_one(study, metrics, objective))


def _importances(study: optuna.Study, metrics: list[str], objective: int) -> Any:
    _varied(study)
    options = _one(study, metrics, objective)
    return optuna.visualization.plot_param_importances(
        study, PedAnovaImportanceEvaluator(), **options
    )


def _parallel_coordinates(study: optuna.Study, metrics: list[str], objective: int) -> Any:
    return optuna.visualization.plot_parallel_coordinate(study, **_one(study, metrics, objective))


def _slices(study: optuna.Study, metrics: list[str], objective: int) -> Any:
    return optuna.visualization.plot_slice(study, **_one(study, metrics, objective))


def _contours(study: optuna.Study, metrics: list[str], objective: int) -> Any:
    options = _one(study, metrics, objective)
    names = list(study.get_trials(deepcopy=False)[0].params)
    if len(names) < 2:
        raise InvalidError("contours need two searched fields")
    if len(names) > MOST_PARAMETERS:
        _varied(study)
        found = optuna.importance.get_param_importances(
            study, evaluator=PedAnovaImportanceEvaluator(), target=options.get("target")
        )
        names = list(found)[:MOST_PARAMETERS]
    return optuna.visualization.plot_contour(study, names, **options)


def _distribution(study: optuna.Study, metrics: list[str], objective: int) -> Any:
    return optuna.visualization.plot_edf(study, **_one(study, metrics, objective))


def _learning_curves(study: optuna.Study, metrics: list[str], objective: int) -> Any:
    return optuna.visualization.plot_intermediate_values(study)


def _pareto_front(study: optuna.Study, metrics: list[str], objective: int) -> Any:
    return optuna.visualization.plot_pareto_front(study, target_names=metrics)


def _varied(study: optuna.Study) -> None:
    """Raise ConflictError where nothing can be said about what matters."""
    ended = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    if len({tuple(trial.values) for trial in ended}) < 2:
        raise ConflictError("importances need finished trials whose objectives differ")


_DRAWN: Mapping[PlotKind, Callable[[optuna.Study, list[str], int], Any]] = {
    "history": _history,
    "importances": _importances,
    "parallel_coordinates": _parallel_coordinates,
    "slices": _slices,
    "contours": _contours,
    "distribution": _distribution,
    "learning_curves": _learning_curves,
    "pareto_front": _pareto_front,
}
