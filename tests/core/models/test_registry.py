"""What a reference to a model means, and whose model that is."""

import pytest
from sqlalchemy import Engine

from core import jobs, models
from core.errors import InvalidError, NotFoundError
from core.status import JobStatus
from tests.support.job_cases import claimed, do, queued


@pytest.fixture
def trained(engine: Engine) -> list[str]:
    """Three jobs that are versions 1 to 3 of `pets`; `champion` is the second."""
    found = []
    for _ in range(3):
        job_id = queued(engine).id
        attempt = claimed(engine, job_id).attempt
        result = {"model_key": "k", "model_digest": job_id}
        do(engine, jobs.finish, job_id, attempt, JobStatus.FINISHED, result=result)
        do(engine, models.register, "pets", job_id, owner="local")
        found.append(job_id)
    do(engine, models.set_alias, "pets", "champion", 2, owner="local")
    return found


@pytest.mark.parametrize(
    ("reference", "version"), [("pets", 3), ("pets@latest", 3), ("pets@1", 1), ("pets@champion", 2)]
)
def test_a_reference_means_a_version(engine: Engine, trained: list[str], reference, version):
    found = do(engine, models.resolve, reference)
    assert (found.version, found.job_id) == (version, trained[version - 1])
    assert do(engine, models.job_of, reference) == trained[version - 1]
    file = do(engine, models.locate, trained[version - 1])
    assert file == models.ModelFile("k", trained[version - 1])


@pytest.mark.parametrize(
    ("reference", "error", "told"),
    [
        ("dogs", NotFoundError, "no model 'dogs'"),
        ("pets@4", NotFoundError, "'pets' has no version 4"),
        ("pets@best", NotFoundError, "'pets' has no alias 'best'"),
        ("pets@", InvalidError, "names no version"),
    ],
)
@pytest.mark.parametrize("find", [models.resolve, models.job_of])
def test_what_is_not_there_is_said_so(engine: Engine, trained, find, reference, error, told):
    with pytest.raises(error, match=told):
        do(engine, find, reference)
