"""Pages of jobs, filtered and sorted by a time or a metric, and of experiments."""

import base64
import binascii
import json
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import eq, ge, gt, le, lt
from typing import Any

from sqlalchemy import JSON, ColumnElement, Select, func, literal, select, tuple_, type_coerce
from sqlalchemy.orm import Session

from chainrule.contract.status import JobKind, JobStatus
from core.db.documents import number_at
from core.db.tables import Dataset, DatasetVersion, Experiment, Job
from core.db.types import Timestamp, from_milliseconds, to_milliseconds
from core.errors import FieldError, InvalidError

METRIC_KEY = r"[A-Za-z0-9_.\-/]{1,250}"
"""Pattern of the metrics by which jobs are filtered and sorted."""

TIMES = ("created_at", "started_at", "finished_at")
"""The times by which jobs are sorted."""

_OPERATORS = {"<": lt, "<=": le, ">": gt, ">=": ge, "=": eq}
_CONDITION = re.compile(rf"({METRIC_KEY})(<=|>=|<|>|=)(.+)")


@dataclass(frozen=True)
class Page:
    """Some jobs, and the cursor of the next page (None: there is none)."""

    items: list[Job]
    next: str | None


@dataclass(frozen=True)
class MetricCondition:
    """What a metric of a job has to be, like `valid/accuracy` `>=` 0.9."""

    key: str
    operator: str
    value: float

    @classmethod
    def parse(cls, text: str, path: str = "metric") -> "MetricCondition":
        """Parse a condition such as `valid/accuracy>=0.9`. Raises InvalidError at field `path`."""
        match = _CONDITION.fullmatch(text)
        try:
            value = float(match[3]) if match else float("nan")
        except ValueError:
            value = float("nan")
        if match is None or not abs(value) <= sys.float_info.max:
            message = f"{text[:80]!r} is no condition: write KEY>=NUMBER, like valid/accuracy>=0.9"
            raise InvalidError(message, [FieldError(path, message)])
        return cls(match[1], match[2], value)


@dataclass(frozen=True)
class Order:
    """How jobs are sorted: by one of `TIMES` or by a metric. Jobs without it are left out."""

    by: str = "created_at"
    descending: bool = True

    @classmethod
    def parse(cls, text: str) -> "Order":
        """Parse `created_at`, or `-valid/accuracy` for the highest first."""
        return cls(text.removeprefix("-"), text.startswith("-"))


NEWEST_FIRST = Order()


def list_jobs(  # noqa: PLR0913 - each is a filter
    session: Session,
    *,
    owner: str | None = None,
    experiment: str | None = None,
    dataset: str | None = None,
    name: str | None = None,
    kind: JobKind | None = None,
    status: Sequence[JobStatus] = (),
    tags: dict[str, str] | None = None,
    metrics: Iterable[MetricCondition] = (),
    created: tuple[datetime | None, datetime | None] = (None, None),
    order: Order = NEWEST_FIRST,
    cursor: str | None = None,
    limit: int = 50,
) -> Page:
    """A page of jobs that match all filters given, newest first without an `order`.

    `dataset` is `name` or `name@3`; `created` holds the first moment and that after the last.
    Raises InvalidError for a cursor that no page in this order gave.
    """
    statement = select(Job)
    for column, value in ((Job.owner, owner), (Job.name, name), (Job.kind, kind)):
        if value is not None:
            statement = statement.where(column == value)
    if status:
        statement = statement.where(Job.status.in_(status))
    if experiment is not None:
        same = select(Experiment.id).where(Experiment.name == experiment)
        statement = statement.where(Job.experiment_id == same.scalar_subquery())
    if dataset is not None:
        statement = statement.where(Job.dataset_version_id.in_(versions_named(dataset)))
    for key, text in (tags or {}).items():
        statement = statement.where(type_coerce(Job.tags, JSON)[key].as_string() == text)
    for condition in metrics:
        metric = _metric(condition.key)
        compared = _OPERATORS[condition.operator](metric, literal(condition.value))
        statement = statement.where(compared)
    statement = statement.where(*between(Job.created_at, *created))
    return _page(session, statement, order, cursor, limit)


def between(
    column: Any, first: datetime | None, end: datetime | None
) -> Iterable[ColumnElement[bool]]:
    """Conditions that a time is `first` or later, and before `end`; None: no condition."""
    if first is not None:
        yield column >= literal(first, Timestamp())
    if end is not None:
        yield column < literal(end, Timestamp())


def versions_named(dataset: str) -> Select[int]:
    """Select the ids of the dataset versions that `name` or `name@3` means."""
    name, _, version = dataset.partition("@")
    statement = select(DatasetVersion.id).join(Dataset).where(Dataset.name == name)
    if version:
        known = version.isascii() and version.isdigit() and len(version) < 10
        number = int(version) if known else -1
        statement = statement.where(DatasetVersion.version == number)
    return statement


def _page(
    session: Session, statement: Select[Job], order: Order, cursor: str | None, limit: int
) -> Page:
    """The page of a statement at a cursor, sorted by the order and then by id."""
    value = getattr(Job, order.by) if order.by in TIMES else _metric(order.by)
    if order.by != "created_at":
        statement = statement.where(value.is_not(None))
    if cursor is not None:
        place = tuple_(*_place(cursor, order))
        here = tuple_(value, Job.id)
        statement = statement.where(here < place if order.descending else here > place)
    columns = (value.desc(), Job.id.desc()) if order.descending else (value, Job.id)
    sorted_rows = statement.add_columns(value.label("value")).order_by(*columns).limit(limit + 1)
    rows = session.execute(sorted_rows).all()
    jobs = [row[0] for row in rows]
    if len(rows) <= limit:
        return Page(jobs, None)
    return Page(jobs[:limit], _cursor(order, *rows[limit - 1]))


def _metric(key: str) -> ColumnElement[Any]:
    """The last value of a metric of a job: that of its result, or else of its progress."""
    return func.coalesce(
        number_at(Job.result, "metrics", key), number_at(Job.progress, "last", key)
    )


def _cursor(order: Order, job: Job, value: Any) -> str:
    if order == NEWEST_FIRST:
        text = f"{to_milliseconds(job.created_at)}.{job.id}"
    else:
        stored = to_milliseconds(value) if isinstance(value, datetime) else value
        text = json.dumps([order.by, order.descending, stored, job.id])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _place(cursor: str, order: Order) -> tuple[ColumnElement[Any], ColumnElement[str]]:
    """The value and the id of the last job of the page before. Raises InvalidError."""
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        if order == NEWEST_FIRST:
            count, job_id = text.split(".")
        else:
            by, descending, count, job_id = json.loads(text)
            if Order(by, descending) != order:
                raise ValueError("a cursor of another order")
        if order.by in TIMES:
            # A literal with its type: SQLite would compare a bare datetime as text.
            moment = literal(from_milliseconds(int(count)), Timestamp())
            return moment, literal(str(job_id))
        return literal(float(count)), literal(str(job_id))
    except (binascii.Error, TypeError, ValueError, OverflowError, RecursionError) as error:
        message = "not a cursor of this list; leave it out to begin at the first page"
        raise InvalidError("the cursor is wrong", [FieldError("cursor", message)]) from error


def list_experiments(
    session: Session, *, after: str | None = None, limit: int = 50
) -> list[Experiment]:
    """Experiments by name, those whose name comes after `after`."""
    statement = select(Experiment).order_by(Experiment.name).limit(limit)
    if after is not None:
        statement = statement.where(Experiment.name > after)
    return list(session.scalars(statement))
