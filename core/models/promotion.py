"""Promote a model if it is better than the present champion."""

import math
from dataclasses import dataclass

from sqlalchemy.orm import Session

from core.db.tables import DatasetVersion, ModelAlias, ModelVersion
from core.errors import ConflictError, FieldError, InvalidError
from core.models.aliases import set_alias
from core.models.evaluation import latest_evaluation
from core.models.registry import get_model, get_version
from core.training.table_evaluation import higher_is_better


@dataclass(frozen=True)
class Decision:
    """Whether a candidate was promoted, on which values, and the sentence that says why."""

    promoted: bool
    candidate: int
    candidate_value: float
    champion: int | None
    champion_value: float | None
    reason: str


def promote(
    session: Session,
    name: str,
    alias: str,
    version: int,
    *,
    dataset: DatasetVersion,
    metric: str,
    margin: float = 0.0,
    owner: str,
) -> Decision:
    """Let `name@alias` point at `version` if it is better by more than `margin`.

    Both are compared by their newest evaluation on `dataset`. Who has no rival is promoted. Raises
    NotFoundError, ConflictError when one was not evaluated there, InvalidError for a metric that
    was not measured.
    """
    candidate = get_version(session, name, version)
    value = _value(session, candidate, dataset, metric)
    model = get_model(session, name)
    present = session.get(ModelAlias, (model.id, alias))
    where = f"{metric} on {dataset.dataset.name}@{dataset.version}"
    if present is None or present.version == version:
        reason = f"{where}: {value:.6g}; there is no other {alias}"
        set_alias(session, name, alias, version, owner=owner, reason=reason)
        return Decision(True, version, value, None, None, reason)
    rival = _value(session, get_version(session, name, present.version), dataset, metric)
    gain = value - rival if higher_is_better(metric) else rival - value
    better = math.isfinite(value) and (gain > margin or not math.isfinite(rival))
    said = "better" if better else "not better"
    reason = f"{where}: {value:.6g} is {said} than {rival:.6g} by more than {margin:g}"
    if better:
        set_alias(session, name, alias, version, owner=owner, reason=reason)
    return Decision(better, version, value, present.version, rival, reason)


def _value(session: Session, version: ModelVersion, dataset: DatasetVersion, metric: str) -> float:
    found = latest_evaluation(session, version.job_id, dataset)
    named = f"{version.model.name}@{version.version}"
    if found is None:
        raise ConflictError(
            f"{named} was not evaluated on {dataset.dataset.name}@{dataset.version} yet"
        )
    if metric not in found.metrics:
        message = f"{named} has no metric {metric[:100]!r} there; it has {', '.join(found.metrics)}"
        raise InvalidError(message, [FieldError("metric", message)])
    return float(found.metrics[metric])
