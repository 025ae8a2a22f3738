"""References to models and the versions and jobs they refer to."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine

from chainrule.contract.status import JobStatus
from core import models
from core.errors import InvalidError, NotFoundError
from tests.support import single
from tests.support.job_cases import claimed, do, queued


@pytest.fixture
def trained(engine: Engine) -> list[str]:
    """Three jobs that are versions 1 to 3 of `pets`; `champion` is the second."""
    job_ids = []
    for _ in range(3):
        job_id = queued(engine).id
        attempt = claimed(engine, job_id).attempt
        result = {"model_key": "k", "model_digest": job_id}
        do(engine, single.finish, job_id, attempt, JobStatus.FINISHED, result=result)
        do(engine, models.register, "pets", job_id, owner="local")
        job_ids.append(job_id)
    do(engine, models.set_alias, "pets", "champion", 2, owner="local")
    return job_ids


@pytest.mark.parametrize(
    ("reference", "version"), [("pets", 3), ("pets@latest", 3), ("pets@1", 1), ("pets@champion", 2)]
)
def test_a_reference_names_a_version(
    engine: Engine, trained: list[str], reference: str, version: int
) -> None:
    resolved = do(engine, models.resolve, reference)
    assert (resolved.version, resolved.job_id) == (version, trained[version - 1])
    assert do(engine, models.job_of, reference) == trained[version - 1]
    file = do(engine, models.locate, trained[version - 1])
    assert file == models.ModelFile("k", trained[version - 1])


@pytest.mark.parametrize(
    ("reference", "error", "message"),
    [
        ("dogs", NotFoundError, "no model 'dogs'"),
        ("pets@4", NotFoundError, "'pets' has no version 4"),
        ("pets@best", NotFoundError, "'pets' has no alias 'best'"),
        ("pets@", InvalidError, "is not a version"),
    ],
)
@pytest.mark.parametrize("find", [models.resolve, models.job_of])
@pytest.mark.usefixtures("trained")
def test_an_unknown_reference_is_named(
    engine: Engine,
    find: Callable[..., Any],
    reference: str,
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        do(engine, find, reference)
