"""Defaults that depend on the rest of a job: filled in when a job or sweep is admitted.

They are stored with it. A stored spec without such a field was admitted by a release that did not
know the field, so it means what that release did.
"""

from core.nn.losses.poisson import Poisson
from core.spec.job import JobSpec


def filled(spec: JobSpec) -> JobSpec:
    """Return a submitted job with the fields that it leaves out and that depend on others."""
    data = spec.data
    if "standardize_target" in data.model_fields_set or not _suits_standardized_target(spec):
        return spec
    return spec.model_copy(update={"data": data.model_copy(update={"standardize_target": True})})


def standardizes_target(spec: JobSpec) -> bool:
    """Return whether the job trains on standardized targets."""
    return spec.data.standardize_target and _suits_standardized_target(spec)


def _suits_standardized_target(spec: JobSpec) -> bool:
    """Whether targets may be scaled: numbers that are compared with unlimited outputs."""
    numbers = spec.loss.target == "number" and not isinstance(spec.loss, Poisson)
    return numbers and spec.network.unlimited
