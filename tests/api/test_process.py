"""The api as a process: it starts, refuses open doors and busy ports, and ends on a signal."""

import hashlib
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import httpx
import pytest

from api.__main__ import max_connections
from chainrule.client import Client
from tests.support.brokers import free_port


def environment(**settings: object) -> dict[str, str]:
    """An environment with nothing but these settings of ours."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return kept | {f"CHAINRULE_{name.upper()}": str(value) for name, value in settings.items()}


@pytest.fixture
def started(sqlite_url: str, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A running api and its address."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "api"],
        env=environment(port=port, database_url=sqlite_url, data_dir=tmp_path / "data"),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    url = f"http://127.0.0.1:{port}"
    give_up_at = time.monotonic() + 60
    while True:
        with suppress(httpx.TransportError):
            httpx.get(f"{url}/healthz")
            break
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < give_up_at
        time.sleep(0.1)
    yield process, url
    process.kill()
    process.communicate()


def test_it_serves_and_ends_on_sigterm(started: tuple[subprocess.Popen[str], str]) -> None:
    process, url = started
    assert httpx.get(f"{url}/readyz", timeout=30).json()["status"] == "ready"
    assert "server" not in httpx.get(f"{url}/healthz").headers
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=30)
    assert process.returncode in {0, -signal.SIGTERM}
    assert "Traceback" not in log


def test_an_upload_cut_in_the_middle_leaves_nothing(
    started: tuple[subprocess.Popen[str], str], tmp_path: Path
) -> None:
    _, url = started
    port = httpx.URL(url).port
    head = (
        b"POST /v1/datasets/cut/versions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        b"Content-Type: text/csv\r\nContent-Length: 1000000\r\n\r\na,b\n1,2\n"
    )
    with closing(socket.create_connection(("127.0.0.1", port))) as connection:
        connection.sendall(head)
        give_up_at = time.monotonic() + 30
        while not list((tmp_path / "data" / "uploads").glob("*")):
            assert time.monotonic() < give_up_at
            time.sleep(0.05)
    while list((tmp_path / "data" / "uploads").glob("*")):
        assert time.monotonic() < give_up_at
        time.sleep(0.05)
    assert httpx.get(f"{url}/v1/datasets", timeout=30).json()["items"] == []


def test_a_head_that_never_ends_is_refused(started: tuple[subprocess.Popen[str], str]) -> None:
    _, url = started
    with closing(socket.create_connection(("127.0.0.1", httpx.URL(url).port))) as connection:
        connection.settimeout(30)
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: ")
        answer = b""
        with suppress(ConnectionError):
            for _ in range(40):
                connection.sendall(b"x" * 65_536)
            answer = connection.recv(100)
    assert b"200" not in answer
    assert httpx.get(f"{url}/healthz", timeout=30).status_code == 200


def test_two_thousand_silent_connections_keep_nobody_out(
    started: tuple[subprocess.Popen[str], str],
) -> None:
    _, url = started
    port = httpx.URL(url).port
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(limits[1], 4096), limits[1]))
    try:
        with ExitStack() as opened:
            for number in range(2000):
                silent = opened.enter_context(socket.create_connection(("127.0.0.1", port)))
                if number % 2:
                    silent.sendall(b"GET /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\n")
            for path in ("/healthz", "/v1/jobs", "/readyz"):
                assert httpx.get(f"{url}{path}", timeout=60).status_code == 200
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.parametrize(
    ("files", "most"), [(resource.RLIM_INFINITY, 1024), (4096, 1024), (1024, 824), (256, 64)]
)
def test_connections_leave_files_for_the_database(
    monkeypatch: pytest.MonkeyPatch, files: int, most: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    assert max_connections() == most


def run(**settings: object) -> subprocess.CompletedProcess[str]:
    """The outcome of an api that does not come to serve."""
    return subprocess.run(
        [sys.executable, "-m", "api"],
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_without_a_token_it_does_not_open_to_other_machines(tmp_path: Path) -> None:
    outcome = run(host="0.0.0.0", data_dir=tmp_path)
    assert outcome.returncode == 2
    assert "CHAINRULE_API_TOKEN" in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_with_a_weak_token_it_does_not_open_to_other_machines(tmp_path: Path) -> None:
    for token, reason in (("correct-horse", "has 13 characters"), ("a" * 40, "0 bits of entropy")):
        outcome = run(host="0.0.0.0", data_dir=tmp_path, api_token=token)
        assert outcome.returncode == 2
        assert reason in outcome.stderr
        assert token not in outcome.stderr


def test_a_busy_port_is_one_clear_line(tmp_path: Path, sqlite_url: str) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as busy:
        port = busy.getsockname()[1]
        outcome = run(port=port, data_dir=tmp_path, database_url=sqlite_url)
    assert outcome.returncode != 0
    assert "address already in use" in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_a_database_of_another_kind_is_one_clear_line(tmp_path: Path) -> None:
    outcome = run(database_url="mysql://root:canary-pw@localhost/x", data_dir=tmp_path)
    assert outcome.returncode == 2
    assert "mysql" in outcome.stderr
    assert "canary-pw" not in outcome.stderr
    assert "Traceback" not in outcome.stderr


class Bad(httpx.HTTPTransport):
    """A line that loses every third part on its way, and every fourth answer to one."""

    count = lost = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.method != "PUT":
            return super().handle_request(request)
        self.count += 1
        if self.count % 3 == 0:
            self.lost += 1
            raise httpx.WriteError("lost on its way")
        response = super().handle_request(request)
        if self.count % 4 == 0:
            response.read()
            self.lost += 1
            raise httpx.ReadError("the answer was lost")
        return response


def test_an_upload_in_parts_goes_on_wherever_it_was_cut(
    started: tuple[subprocess.Popen[str], str], tmp_path: Path
) -> None:
    _, url = started
    file = tmp_path / "numbers.csv"
    file.write_text("a,b\n" + "".join(f"{row},{row % 7}\n" for row in range(60_000)))
    size, heard = file.stat().st_size, []
    line = Bad()
    with Client(url, transport=line) as client:
        version = client.datasets.upload(
            "numbers", file, part_bytes=50_000, on_bytes=lambda *done: heard.append(done)
        )
        assert line.lost >= 4
        assert (version["rows"], version["version"]) == (60_000, 1)
        assert heard[0] == (0, size)
        assert heard[-1] == (size, size)
        # The same in one go is the same version: not a byte differs.
        again = client.datasets.upload("numbers", file, part_bytes=size)
        assert again["digest"] == version["digest"]
        assert again["version"] == 1
    assert not list((tmp_path / "data" / "uploads").glob("*"))


def test_a_part_cut_in_the_middle_keeps_what_came(
    started: tuple[subprocess.Popen[str], str],
) -> None:
    _, url = started
    content = b"a,b\n" + b"1,2\n" * 500_000
    path = "/v1/datasets/cut/uploads"
    announced = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    begun = httpx.post(url + path, json=announced).json()
    head = (
        f"PUT {path}/{begun['id']}?offset=0 HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    with closing(socket.create_connection(("127.0.0.1", httpx.URL(url).port))) as connection:
        connection.sendall(head.encode() + content[:1_500_000])
    give_up_at = time.monotonic() + 60
    while not (received := httpx.get(f"{url}{path}/{begun['id']}").json()["received"]):
        assert time.monotonic() < give_up_at
        time.sleep(0.05)
    assert 0 < received <= 1_500_000
    # Begun again, it is known again.
    assert httpx.post(url + path, json=announced).json()["id"] == begun["id"]
    while True:
        seen = httpx.get(f"{url}{path}/{begun['id']}").json()["received"]
        rest = httpx.put(f"{url}{path}/{begun['id']}?offset={seen}", content=content[seen:])
        if rest.is_success:
            break
        assert rest.status_code == 409  # the part that was cut off is still being written
        assert time.monotonic() < give_up_at
    done = httpx.post(f"{url}{path}/{begun['id']}/complete", timeout=60)
    assert done.status_code == 201, done.text
    assert done.json()["rows"] == 500_000
