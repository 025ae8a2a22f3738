"""What happens to a job, in pages and live: nothing left out, nothing twice."""

import json
import threading

import httpx
import pytest
from httpx_sse import ServerSentEvent
from httpx_sse._decoders import SSEDecoder

from chainrule.contract.status import JobStatus
from core import jobs
from core.db.session import transaction
from core.jobs import Line, Point
from tests.support import single
from tests.support.api_cases import Http, assert_problem

STREAM = {"Accept": "text/event-stream"}


def events(answer: httpx.Response) -> list[ServerSentEvent]:
    assert answer.headers["content-type"].startswith("text/event-stream"), answer.text
    decoder = SSEDecoder()
    return [event for line in answer.text.splitlines() if (event := decoder.decode(line))]


def plain(found: list[ServerSentEvent]) -> list[tuple[str, str, str]]:
    return [(event.event, event.data, event.id) for event in found]


def step(http: Http, claim: jobs.Claim, number: int) -> None:
    """Write a chunk of one point and a line of the log."""
    with transaction(http.app.state.context.engine) as session:
        single.record_metrics(
            session,
            claim.job_id,
            claim.attempt,
            number,
            [Point("train/loss", number, 0, 1000 * number, 1 / number)],
            lines=[Line(number, "info", f"step {number}")],
        )


def finish(http: Http, claim: jobs.Claim) -> None:
    with transaction(http.app.state.context.engine) as session:
        single.finish(session, claim.job_id, claim.attempt, JobStatus.FINISHED, result={})


@pytest.fixture
def trained(everywhere: Http) -> tuple[Http, str]:
    """A client and the path of the happenings of a job that has ended."""
    claim = everywhere.claimed(everywhere.submitted()["id"])
    for number in (1, 2, 3):
        step(everywhere, claim, number)
    finish(everywhere, claim)
    return everywhere, f"/v1/jobs/{claim.job_id}"


def test_a_stream_tells_all_and_ends(trained: tuple[Http, str]) -> None:
    http, path = trained
    found = events(http.get(f"{path}/events", headers=STREAM))
    kinds = [event.event for event in found]
    assert (kinds[0], kinds[-2:]) == ("state", ["state", "end"])
    states = [event.json() for event in found if event.event == "state"]
    assert states == http.get(f"{path}/events").json()["items"]
    points = [point for e in found if e.event == "metrics" for point in e.json()["points"]]
    assert points == http.get(f"{path}/metrics").json()["items"]
    lines = [event.json() for event in found if event.event == "log"]
    assert lines == http.get(f"{path}/logs").json()["items"]
    assert [line["text"] for line in lines] == ["step 1", "step 2", "step 3"]
    assert found[-1].json() == {"status": "finished"}


def test_a_stream_goes_on_where_it_broke_off(trained: tuple[Http, str]) -> None:
    http, path = trained
    whole = events(http.get(f"{path}/events", headers=STREAM))
    for seen, event in enumerate(whole[:-2], start=1):
        rest = http.get(f"{path}/events", headers={**STREAM, "Last-Event-ID": event.id})
        assert plain(events(rest)) == plain(whole[seen:])
    after = http.get(f"{path}/events", headers={**STREAM, "Last-Event-ID": whole[-1].id})
    assert (after.status_code, after.content) == (204, b"")


def test_a_stream_goes_on_until_the_job_has_ended(everywhere: Http) -> None:
    claim = everywhere.claimed(everywhere.submitted()["id"])
    step(everywhere, claim, 1)

    def go_on() -> None:
        step(everywhere, claim, 2)
        finish(everywhere, claim)

    later = threading.Timer(1.0, go_on)
    later.start()
    found = events(everywhere.get(f"/v1/jobs/{claim.job_id}/events", headers=STREAM))
    later.join()
    assert [e.json()["text"] for e in found if e.event == "log"] == ["step 1", "step 2"]
    assert found[-1].event == "end"


def test_what_cannot_be_streamed_is_a_problem(http: Http) -> None:
    job_id = http.submitted()["id"]
    wrong = {**STREAM, "Last-Event-ID": "somewhere"}
    answer = http.get(f"/v1/jobs/{job_id}/events", headers=wrong)
    assert_problem(answer, 422, "header.last-event-id")
    assert_problem(http.get(f"/v1/jobs/{'0' * 32}/events", headers=STREAM), 404)
    assert_problem(http.get(f"/v1/jobs/{'0' * 32}/logs"), 404)
    context = http.app.state.context
    readers = [object() for _ in range(int(context.streams.total_tokens))]
    for reader in readers:
        http.portal.call(context.streams.acquire_on_behalf_of_nowait, reader)
    answer = http.get(f"/v1/jobs/{job_id}/events", headers=STREAM)
    assert_problem(answer, 503)
    for reader in readers:
        http.portal.call(context.streams.release_on_behalf_of, reader)


def test_a_stream_ends_with_the_server_and_gives_its_place_back(http: Http) -> None:
    job_id = http.submitted()["id"]
    context = http.app.state.context
    threading.Timer(0.5, context.closing.set).start()
    found = events(http.get(f"/v1/jobs/{job_id}/events", headers=STREAM))
    assert [event.event for event in found] == ["state"]
    assert json.loads(found[0].data)["kind"] == "submitted"
    assert context.streams.borrowed_tokens == 0


def test_log_lines_come_in_pages(trained: tuple[Http, str]) -> None:
    http, path = trained
    text = http.get(f"{path}/logs", headers={"Accept": "text/plain"})
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    lines = http.get(f"{path}/logs").json()["items"]
    assert [line.split(None, 2)[1:] for line in text.text.splitlines()] == [
        [line["level"], line["text"]] for line in lines
    ]
    first = http.get(f"{path}/logs", params={"limit": 2}).json()
    rest = http.get(f"{path}/logs", params={"cursor": first["next"]}).json()
    assert [one["text"] for one in first["items"]] == ["step 1", "step 2"]
    assert [one["text"] for one in rest["items"]] == ["step 3"]
    assert rest["next"] is None
