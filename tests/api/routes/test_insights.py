"""What a trained network was seen to do, as the api and the command line show it."""

from typing import Any

import pytest

from chainrule.contract.status import JobStatus
from core.data.ingest.parser import ParsedDataset
from core.db.session import transaction
from core.events import TrainingEnded
from core.spec import JobSpec
from core.training.loop import train
from tests.support import single
from tests.support.api_cases import SPEC, Http, assert_problem


@pytest.fixture(scope="module")
def seen(pets: ParsedDataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The insights of a network that was trained on the small dataset."""
    folder = tmp_path_factory.mktemp("seen")
    *_, ended = train(JobSpec.model_validate(SPEC), pets.path, folder)
    assert isinstance(ended, TrainingEnded)
    return ended.insights


def test_insights_are_kept_with_the_end(everywhere: Http, seen: dict[str, Any]) -> None:
    claim = everywhere.claimed(everywhere.submitted()["id"])
    assert_problem(everywhere.get(f"/v1/jobs/{claim.job_id}/insights"), 404)
    with transaction(everywhere.app.state.context.engine) as session:
        single.finish(
            session, claim.job_id, claim.attempt, JobStatus.FINISHED, result={}, insights=seen
        )
    found = everywhere.get(f"/v1/jobs/{claim.job_id}/insights").json()
    assert found["confusion"]["labels"] == ["cat", "dog"]
    assert sum(map(sum, found["confusion"]["counts"])) == found["rows"]
    assert found["hardest"] == seen["hardest"]
    assert found["activations"].keys() == seen["activations"].keys()
