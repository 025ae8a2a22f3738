"""What an attempt tells of its training, when attempts before it told some of it."""

from datetime import UTC, datetime

from core.events import EpochEnded, TrainingEnded
from tests.support.job_cases import spec
from worker.attempt.progress import Story, Timeline

LAST = {"train/loss": 0.5, "valid/loss": 0.6, "test/loss": 0.7}


def test_what_only_the_end_measures_is_told_again_after_an_attempt_that_was_lost_at_its_end():
    story = Story(spec(), {"last": LAST}, Timeline(datetime.now(UTC), 0.0))
    told, _ = story.take(EpochEnded(9, 3, {"train/loss": 0.5, "valid/loss": 0.6}), 1.0)
    end = TrainingEnded(9, 3, path="model", weights_digest="0", metrics=LAST, reason="epochs")
    told += story.take(end, 2.0)[0]
    assert sorted((point.key, point.step) for point in told) == [
        ("test/loss", 9), ("train/loss", 9), ("valid/loss", 9),
    ]  # fmt: skip
