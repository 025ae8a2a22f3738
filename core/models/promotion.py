"""Promotion: move an alias to a model version that is better than the present one."""

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
    """Whether a candidate was promoted, the values compared, and the reason as a sentence."""

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
    """Point `name@alias` at `version` if it is better by more than `margin`.

    Both versions are compared by their newest evaluation on `dataset`. If no other version has the
    alias, the candidate is promoted. Raises NotFoundError, ConflictError if a version was not
    evaluated on `dataset`, InvalidError for a metric that was not computed.
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
    verdict = "better" if better else "not better"
    reason = f"{where}: {value:.6g} is {verdict} than {rival:.6g} by more than {margin:g}"
    if better:
        set_alias(session, name, alias, version, owner=owner, reason=reason)
    return Decision(better, version, value, present.version, rival, reason)


def _value(session: Session, version: ModelVersion, dataset: DatasetVersion, metric: str) -> float:
    evaluation = latest_evaluation(session, version.job_id, dataset)
    label = f"{version.model.name}@{version.version}"
    if evaluation is None:
        raise ConflictError(
            f"{label} was not evaluated on {dataset.dataset.name}@{dataset.version} yet"
        )
    if metric not in evaluation.metrics:
        message = (
            f"{label} has no metric {metric[:100]!r} there; it has {', '.join(evaluation.metrics)}"
        )
        raise InvalidError(message, [FieldError("metric", message)])
    return float(evaluation.metrics[metric])
