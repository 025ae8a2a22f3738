"""Plan preparation by arithmetic, before any data is read: which columns each step applies to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import core.data.prepare.steps  # noqa: F401  (the members register themselves)
from core.data.prepare.preparation import Feature, Preparation
from core.data.table.schema import listed
from core.errors import FieldError, InvalidError


@dataclass(frozen=True)
class Plan:
    """The columns each step applies to, and the features after the last step."""

    columns: tuple[tuple[str, ...], ...]
    features: tuple[Feature, ...]


def plan(steps: Sequence[Preparation], features: Sequence[Feature]) -> Plan:
    """Decide which columns each step applies to.

    Raises InvalidError with the path of a step that names a column which is not a feature, or one
    that the step cannot be applied to.
    """
    current = {feature.name: feature for feature in features}
    columns: list[tuple[str, ...]] = []
    for index, step in enumerate(steps):
        for position, name in enumerate(step.columns):
            _check(step, name, current, f"data.prepare[{index}].columns[{position}]")
        names = tuple(dict.fromkeys(step.columns)) or tuple(
            name for name, feature in current.items() if step.fits(feature) and not feature.done
        )
        for name in names:
            current[name] = step.after(current[name])
        columns.append(names)
    return Plan(tuple(columns), tuple(current.values()))


def objections(steps: Sequence[Preparation], features: Sequence[Feature]) -> list[FieldError]:
    """Errors for steps that the known content of a column rules out, in the order of `plan`."""
    current = {feature.name: feature for feature in features}
    errors = []
    for index, (step, names) in enumerate(zip(steps, plan(steps, features).columns, strict=True)):
        for name in names:
            reason = step.objection(current[name])
            if reason is not None:
                errors.append(FieldError(f"data.prepare[{index}]", f"column {name!r} {reason}"))
            current[name] = step.after(current[name])
    return errors


def _check(step: Preparation, name: str, current: Mapping[str, Feature], path: str) -> None:
    """Raise InvalidError unless the step can be applied to the column."""
    if name not in current:
        message = f"{name!r} is not a feature; the features are {listed(tuple(current))}"
    elif not step.fits(current[name]):
        feature = current[name]
        content = "text" if feature.text else "numbers"
        if feature.shape:
            content = f"arrays of shape {feature.shape}"
        message = f"{step.kind} does not take column {name!r}, which holds {content} at this step"
        if remedy := step.remedy(feature):
            message += f": {remedy}"
    else:
        return
    raise InvalidError.of(FieldError(path, message))
