"""Defaults that depend on the rest of a job: filled in when a job or sweep is admitted.

They are stored with it. A stored spec without such a field was admitted by a release that did not
know the field, so it means what that release did.
"""

from collections.abc import Iterable
from typing import Any

from core.data.table.column_warnings import ColumnWarning, named_only
from core.data.table.schema import DatasetSchema
from core.nn.losses.poisson import Poisson
from core.spec.job import JobSpec


def filled(spec: JobSpec, schema: DatasetSchema, warnings: Iterable[ColumnWarning] = ()) -> JobSpec:
    """Return a submitted job with the fields that it leaves out and that depend on others.

    `warnings` are those of the dataset version.
    """
    changes: dict[str, Any] = {}
    if "standardize_target" not in spec.data.model_fields_set and _suits_standardized_target(spec):
        changes["standardize_target"] = True
    if spec.data.features is None and (features := _features(spec, schema, warnings)):
        changes["features"] = features
    if not changes:
        return spec
    return spec.model_copy(update={"data": spec.data.model_copy(update=changes)})


def _features(
    spec: JobSpec, schema: DatasetSchema, warnings: Iterable[ColumnWarning]
) -> tuple[str, ...]:
    """The features, if descriptive columns are left out of them; otherwise empty.

    A step of `prepare` that names such a column makes it a feature. It is also empty if the job
    must name one of the others: what is filled in would count as named.
    """
    prepared = {name for step in spec.data.prepare for name in step.columns}
    descriptive = set(schema.descriptive) - set(spec.data.apart) - prepared
    if not descriptive:
        return ()
    others = (*spec.data.apart, *descriptive)
    features = tuple(name for name in schema.names if name not in others)
    return features if prepared.issuperset(named_only(warnings).keys() & set(features)) else ()


def standardizes_target(spec: JobSpec) -> bool:
    """Return whether the job trains on standardized targets."""
    return spec.data.standardize_target and _suits_standardized_target(spec)


def _suits_standardized_target(spec: JobSpec) -> bool:
    """Whether targets may be scaled: numbers that are compared with unlimited outputs."""
    numbers = spec.loss.target == "number" and not isinstance(spec.loss, Poisson)
    return numbers and spec.network.unlimited
