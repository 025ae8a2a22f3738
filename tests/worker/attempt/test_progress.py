"""What an attempt reports of its training, alone and as a stack, and after earlier attempts."""

from dataclasses import replace

from sqlalchemy import Engine

from core.events import EpochEnded, StackReported, TrainingEnded, TrainingStarted
from core.jobs import Claim, Report
from core.jobs.points import points
from tests.support.job_cases import claimed
from worker.attempt.progress import Progress, Timeline

LAST = {"train/loss": 0.5, "valid/loss": 0.6, "test/loss": 0.7}
MOST = 1000


def progress(*claims: Claim) -> Progress:
    return Progress(claims, Timeline(claims[0].claimed_at, 0.0))


def shown(report: Report) -> list[tuple[str, int, float]]:
    """Metric, step and value of the points of a report."""
    return [(p.key, p.step, p.value) for p in points(report.keys, report.points)]


def test_the_final_metrics_are_reported_again_after_an_attempt_that_was_lost_at_its_end(
    engine: Engine,
) -> None:
    of_one = progress(replace(claimed(engine), progress={"last": LAST}))
    of_one.add(EpochEnded(9, 3, {"train/loss": 0.5, "valid/loss": 0.6}, True), 1.0)
    end = TrainingEnded(9, 3, path="model", weights_digest="0", metrics=LAST, reason="epochs")
    assert of_one.add(end, 2.0) == 1
    report = of_one.take([0], 1, MOST)[0]
    assert sorted(key for key, *_ in shown(report)) == ["test/loss", "train/loss", "valid/loss"]
    assert report.progress["last"] == LAST


def test_each_member_of_a_stack_reports_its_own_column_and_best_epoch(engine: Engine) -> None:
    of_two = progress(claimed(engine), claimed(engine))
    for network in (0, 1):
        of_two.add(TrainingStarted(0, 0, 7, 20, 2, network=network), 0.0)
    first = {"train/loss": [0.5, 0.4]}
    of_two.add(StackReported(5, 1, (0, 1), first, (0, 1), "train/loss"), 1.0)
    of_two.add(StackReported(10, 2, (1,), {"train/loss": [0.6]}, (), "train/loss"), 2.0)
    reports = of_two.take([0, 1], 1, MOST)
    assert shown(reports[0]) == [("train/loss", 5, 0.5)]
    assert shown(reports[1]) == [("train/loss", 5, 0.4), ("train/loss", 10, 0.6)]
    totals = {"weights": 7, "steps_total": 20, "epochs_total": 2}
    assert reports[1].progress == {
        **totals, "step": 10, "epoch": 2, "last": {"train/loss": 0.6},
        "best": {"train/loss": 0.4}, "best_epoch": 1, "best_metric": "train/loss",
    }  # fmt: skip
    assert of_two.empty


def test_the_best_epoch_is_kept_through_attempts_and_named_with_its_metric(engine: Engine) -> None:
    def epoch(step: int, accuracy: float, *, best: bool) -> EpochEnded:
        return EpochEnded(step, step, {"valid/accuracy": accuracy}, best, "valid/accuracy")

    first = progress(claimed(engine))
    first.add(epoch(1, 0.7, best=True), 1.0)
    first.add(epoch(2, 0.6, best=False), 2.0)
    row = first.take([0], 1, MOST)[0].progress
    best = {
        "best": {"valid/accuracy": 0.7}, "best_epoch": 1, "best_metric": "valid/accuracy",
    }  # fmt: skip
    assert best.items() <= row.items()
    second = progress(replace(claimed(engine), progress=dict(row)))
    second.add(epoch(3, 0.65, best=False), 3.0)
    assert best.items() <= second.take([0], 1, MOST)[0].progress.items()
    second.add(epoch(4, 0.8, best=True), 4.0)
    assert second.take([0], 2, MOST)[0].progress["best_epoch"] == 4


def test_a_row_of_an_earlier_release_shows_the_best_metrics_alone(engine: Engine) -> None:
    earlier = replace(claimed(engine), progress={"best": {"valid/loss": 0.1}})
    resumed = progress(earlier)
    resumed.add(EpochEnded(9, 3, {"valid/loss": 0.2}, False, "valid/loss"), 1.0)
    row = resumed.take([0], 1, MOST)[0].progress
    assert (row["best"], "best_epoch" in row) == ({"valid/loss": 0.1}, False)


def test_the_row_does_not_run_ahead_of_the_points(engine: Engine) -> None:
    of_one = progress(claimed(engine))
    for step in (1, 2, 3):
        of_one.add(EpochEnded(step, step, {"train/loss": 1 / step}), float(step))
    first, second = of_one.take([0], 1, 2)[0], of_one.take([0], 2, 2)[0]
    assert (len(first.points), first.progress) == (2, {})
    assert (len(second.points), second.progress["step"]) == (1, 3)
