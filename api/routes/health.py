"""Whether this process lives, and whether what it needs answers."""

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
def healthz() -> Liveness:
    """This process lives."""
    return Liveness()


@router.get("/readyz", responses={503: {"model": Readiness, "description": "not ready"}})
def readyz(here: Here, response: Response) -> Readiness:
    """Which of the servers this one needs do not answer.

    `degraded` still serves: jobs are accepted without the broker and trained without MLflow.
    """
    found = here.prober.examine()
    if found.status == "unavailable":
        response.status_code = 503
    return Readiness(status=found.status, missing=found.missing, dependencies=found.dependencies)


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
        **problems(401, 503),
    },
)
def metrics(here: Here, _: Owner) -> Response:
    """Requests of this process, and jobs in the database, for Prometheus."""
    with reading(here.engine) as session:
        depths = jobs.queue_depths(session)
    here.instruments.show_queues(depths)
    return Response(here.instruments.text(), media_type=MEDIA_TYPE)
