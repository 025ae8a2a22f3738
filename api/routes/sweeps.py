"""Sweeps: submit, list, read, cancel, pause, resume; their trials and the best of them."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field
from sqlalchemy.orm import Session

from api.auth import Owner
from api.context import Here
from api.http.openapi import ALWAYS, problems
from api.http.strict_body import Exact
from api.parameters import CreatedAfter, CreatedBefore, Paging, SweepId
from api.resources.pages import Page, page
from api.resources.sweeps import BestTrial, Forecast, Sweep
from api.resources.trials import Trial
from api.submission import Submitting, dataset_version
from chainrule.contract.status import SweepStatus
from core import jobs, sweeps
from core.db import tables
from core.db.session import reading, transaction
from core.spec.sweep import SweepSpec
from core.spec.version import encode

router = APIRouter(prefix="/v1/sweeps", tags=["sweeps"], responses=problems(*ALWAYS))


class SweepFilters(Paging):
    """Filters of the list of sweeps; a sweep must match all of them."""

    name: str | None = None
    dataset: Annotated[str, Field(description="`name` or `name@3`")] | None = None
    status: Annotated[list[SweepStatus], Field(default_factory=list)]
    created_after: CreatedAfter = None
    created_before: CreatedBefore = None


@router.post("", status_code=202, responses=problems(403, 413, 415, 422))
def begin_sweep(spec: Exact[SweepSpec], submission: Submitting) -> Sweep:
    """Start a search, whose trials are jobs.

    Returns 422 with the path of each invalid field if the spec does not fit the data.
    """
    settings = submission.here.settings

    def make(session: Session) -> tables.Sweep:
        jobs.use_source(session, spec.job.source, "job.source")
        return sweeps.start(
            session,
            spec,
            dataset_version(session, spec.job.dataset, "job.dataset"),
            owner=submission.owner,
            max_weights_bytes=settings.max_weights_bytes,
            max_attempts=settings.max_attempts,
            limits=sweeps.QueueLimits(settings.max_queued_jobs, settings.max_running_sweeps),
        )

    return submission.sweep(encode(spec).document, make)


@router.post("/forecast", responses=problems(413, 415, 422))
def forecast_sweep(spec: Exact[SweepSpec], here: Here, _: Owner) -> Forecast:
    """Estimate the duration of a search on the current workers, without starting it.

    The estimate is based on an earlier sweep over similar networks, or on some timed batches of
    synthetic rows.
    """
    with reading(here.engine) as session:
        jobs.check_source(session, spec.job.source, "job.source")
        version = dataset_version(session, spec.job.dataset, "job.dataset")
        limit = here.settings.max_weights_bytes
        estimate = sweeps.forecast(session, spec, version, max_weights_bytes=limit)
    return Forecast(**asdict(estimate))


@router.get("", responses=problems(422))
def list_all_sweeps(filters: Annotated[SweepFilters, Query()], here: Here, _: Owner) -> Page[Sweep]:
    """List sweeps, newest first."""
    with reading(here.engine) as session:
        page = sweeps.list_sweeps(
            session,
            name=filters.name,
            dataset=filters.dataset,
            status=filters.status,
            created=(filters.created_after, filters.created_before),
            cursor=filters.cursor,
            limit=filters.limit,
        )
        items = [Sweep.of(session, row) for row in page.items]
    return Page(items=items, next=page.next)


@router.get("/{sweep_id}", responses=problems(404, 422))
def read_sweep(sweep_id: SweepId, here: Here, _: Owner) -> Sweep:
    """Return a sweep with its state, the number of trials by state, and the best trials."""
    with reading(here.engine) as session:
        return Sweep.of(session, sweeps.get(session, sweep_id))


@router.delete("/{sweep_id}", status_code=204, responses=problems(403, 404, 409, 422))
def delete_sweep(sweep_id: SweepId, here: Here, _: Owner) -> None:
    """Delete an ended sweep with its trials, their jobs and all that these left.

    Returns 409 and names what uses it if a trial is registered as a model, or evaluated or scored
    by other jobs. A request that breaks off can be repeated.
    """
    count = 1
    while count:
        with transaction(here.engine) as session:
            count = sweeps.delete_jobs(session, here.store, sweep_id)
    with transaction(here.engine) as session:
        sweeps.delete(session, sweep_id)


@router.get("/{sweep_id}/trials", responses=problems(404, 422))
def list_trials(
    sweep_id: SweepId, paging: Annotated[Paging, Query()], here: Here, _: Owner
) -> Page[Trial]:
    """List the trials of a sweep by number, with their points, states and objectives."""
    after = paging.number()
    with reading(here.engine) as session:
        sweep = sweeps.get(session, sweep_id)
        rows = sweeps.trials(session, sweep_id, after=after, limit=paging.limit + 1)
        folds = sweeps.folds(session, sweep, [trial.number for trial, _ in rows])
        return page(
            rows,
            paging.limit,
            lambda row: Trial.of(*row, folds.get(row[0].number, ())),
            lambda row: row[0].number,
        )


@router.get("/{sweep_id}/best", responses=problems(404, 409, 422))
def read_best(sweep_id: SweepId, here: Here, _: Owner) -> BestTrial:
    """Return the best trial and its JobSpec. Returns 409 while no trial has finished."""
    with reading(here.engine) as session:
        row, document = sweeps.best_job(session, sweep_id)
        return BestTrial(trial=Trial.of(row), job=document)


@router.post("/{sweep_id}/cancel", responses=problems(403, 404, 409, 422))
def cancel_sweep(sweep_id: SweepId, here: Here, owner: Owner) -> Sweep:
    """Start no more trials and cancel those that run. Returns 409 if the sweep has ended."""
    with transaction(here.engine) as session:
        return Sweep.of(session, sweeps.cancel(session, sweep_id, owner=owner))


@router.post("/{sweep_id}/pause", responses=problems(403, 404, 409, 422))
def pause_sweep(sweep_id: SweepId, here: Here, owner: Owner) -> Sweep:
    """Start no more trials until the sweep is resumed. Trials that run continue."""
    with transaction(here.engine) as session:
        return Sweep.of(session, sweeps.pause(session, sweep_id, owner=owner))


@router.post("/{sweep_id}/resume", responses=problems(403, 404, 409, 422))
def resume_sweep(sweep_id: SweepId, here: Here, owner: Owner) -> Sweep:
    """Resume a paused sweep."""
    with transaction(here.engine) as session:
        return Sweep.of(session, sweeps.resume(session, sweep_id, owner=owner))
