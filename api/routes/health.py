"""Liveness, readiness and metrics of the server."""

from fastapi import APIRouter, Response

from api.auth import Owner
from api.context import Here
from api.http.openapi import problems
from api.metrics import MEDIA_TYPE
from api.resources.health import Liveness, Readiness
from core import jobs
from core.db.session import reading

router = APIRouter(tags=["health"], responses=problems(400, 500))


@router.get("/healthz")
async def healthz() -> Liveness:
    """Report that the process runs."""
    # In the event loop: the threads may all be busy.
    return Liveness()


@router.get("/readyz", responses={503: {"model": Readiness, "description": "not ready"}})
def readyz(here: Here, response: Response) -> Readiness:
    """Report which dependencies of this server are not available.

    A `degraded` server still works: it accepts jobs without the broker, and workers train without
    MLflow.
    """
    report = here.prober.check()
    if report.status == "unavailable":
        response.status_code = 503
    return Readiness(status=report.status, missing=report.missing, dependencies=report.dependencies)


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
        **problems(401, 429, 503),
    },
)
def metrics(here: Here, _: Owner) -> Response:
    """Return metrics of this process and of the job queues in the Prometheus format."""
    with reading(here.engine) as session:
        depths = jobs.queue_depths(session)
    here.instruments.show_queues(depths)
    return Response(here.instruments.text(), media_type=MEDIA_TYPE)
