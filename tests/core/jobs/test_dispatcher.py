"""Dispatch: the right jobs, in the right order, a few at a time; a silent broker harms nothing."""

from sqlalchemy import Engine

from core import jobs
from core.db.session import transaction
from core.errors import UnavailableError
from tests.support import single
from tests.support.job_cases import claimed, do, pass_time, queued


def due(engine: Engine, window: int = 99, queue: str = "cpu") -> list[str]:
    return do(engine, jobs.due, queue, window)


class Messages:
    """Keeps the messages that were sent; may be out of order."""

    def __init__(self, broken_after: int | None = None) -> None:
        self.sent: list[tuple[str, str]] = []
        self.broken_after = broken_after

    def __call__(self, job_id: str, queue: str) -> None:
        if self.broken_after is not None and len(self.sent) >= self.broken_after:
            raise UnavailableError("no broker")
        self.sent.append((job_id, queue))


def test_older_jobs_go_first_each_on_its_queue(engine: Engine) -> None:
    made = [queued(engine).id for _ in range(3)]
    other = queued(engine, device="gpu").id
    assert due(engine) == made
    assert due(engine, queue="gpu") == [other]


def test_owners_take_turns(engine: Engine) -> None:
    flood = [queued(engine, owner="ada").id for _ in range(4)]
    few = [queued(engine, owner="bob").id for _ in range(2)]
    assert due(engine) == [flood[0], few[0], flood[1], few[1], flood[2], flood[3]]


def test_priority_goes_before_turns(engine: Engine) -> None:
    queued(engine, owner="ada")
    urgent = [queued(engine, owner="bob", priority=9).id for _ in range(2)]
    assert due(engine, 2) == urgent


def test_only_a_window_is_notified_and_not_again_too_soon(engine: Engine) -> None:
    made = [queued(engine).id for _ in range(5)]
    messages = Messages()
    assert jobs.dispatch(engine, messages, queue="cpu", window=2) == 2
    assert jobs.dispatch(engine, messages, queue="cpu", window=2) == 0
    assert messages.sent == [(job_id, "cpu") for job_id in made[:2]]
    claimed(engine, made[0])
    assert jobs.dispatch(engine, messages, queue="cpu", window=2) == 1
    assert messages.sent[2][0] == made[2]


def test_a_lost_message_is_sent_again(engine: Engine) -> None:
    job = queued(engine)
    messages = Messages()
    jobs.dispatch(engine, messages, queue="cpu", window=2)
    pass_time(engine, 29)
    assert jobs.dispatch(engine, messages, queue="cpu", window=2) == 0
    pass_time(engine, 2)
    assert jobs.dispatch(engine, messages, queue="cpu", window=2) == 1
    assert messages.sent == [(job.id, "cpu")] * 2
    assert do(engine, jobs.get, job.id).publish_count == 2


def test_without_a_broker_jobs_stay_due(engine: Engine) -> None:
    made = [queued(engine).id for _ in range(3)]
    assert jobs.dispatch(engine, Messages(broken_after=1), queue="cpu", window=9) == 1
    assert due(engine) == made[1:]
    assert jobs.dispatch(engine, Messages(broken_after=0), queue="cpu", window=9) == 0
    assert due(engine) == made[1:]


def test_what_is_not_to_run_is_not_notified(engine: Engine) -> None:
    paused, cancelled, running = queued(engine), queued(engine), queued(engine)
    do(engine, jobs.pause, paused.id)
    do(engine, jobs.cancel, cancelled.id)
    claimed(engine, running.id)
    waits = queued(engine)
    for _ in range(2):
        claim = claimed(engine, waits.id)
        do(engine, single.lose, waits.id, claim.attempt, cause={"kind": "signal"})
    assert due(engine) == []
    pass_time(engine, 2)
    assert due(engine) == [waits.id]


def test_marking_does_not_touch_a_job_that_was_claimed_meanwhile(engine: Engine) -> None:
    job = queued(engine)

    def notify(job_id: str, _queue: str) -> None:
        claimed(engine, job_id)

    assert jobs.dispatch(engine, notify, queue="cpu", window=1) == 1
    row = do(engine, jobs.get, job.id)
    assert (row.published_at, row.publish_count) == (None, 0)


def test_a_submitter_rings_only_within_the_window(engine: Engine) -> None:
    answers = []
    for _ in range(3):
        job = queued(engine)
        with transaction(engine) as session:
            answers.append(jobs.may_notify(session, jobs.get(session, job.id), window=2))
    assert answers == [True, True, False]
    assert due(engine, 3) == [job.id]


def test_who_submits_again_rings_no_second_time(engine: Engine) -> None:
    job = queued(engine)
    assert do(engine, lambda session: jobs.may_notify(session, jobs.get(session, job.id)))
    assert not do(engine, lambda session: jobs.may_notify(session, jobs.get(session, job.id)))
    assert do(engine, jobs.get, job.id).publish_count == 1


def test_depths_by_queue(engine: Engine) -> None:
    assert do(engine, jobs.queue_depths) == {}
    for device in ("cpu", "cpu", "gpu"):
        queued(engine, device=device)
    depths = do(engine, jobs.queue_depths)
    assert {queue: count for queue, (count, _) in depths.items()} == {"cpu": 2, "gpu": 1}
    assert all(seconds >= 0 for _, seconds in depths.values())
