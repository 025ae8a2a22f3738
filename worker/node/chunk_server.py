"""Gives chunks of this machine's cache to other workers: a process of its own beside the worker.

GET /versions/<digest>/chunks/<digest>, with the token that the workers have in common. A chunk that
is not here is fetched from the store first, once however many ask: this worker is its home.
"""

import hmac
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import structlog

from core.data.storage.cache import Cache
from core.data.storage.local_copy import Copy
from core.data.storage.stores import BLOCK_BYTES, Store, open_store
from core.errors import ChainruleError, NotFoundError
from core.settings import Settings
from worker.node import logs
from worker.runner.sandbox import end_with_parent

log = structlog.get_logger()

PATH = re.compile(r"/versions/([0-9a-f]{64})/chunks/([0-9a-f]{64})")
RANGE = re.compile(r"bytes=([0-9]{1,15})-")
MOST_AT_ONCE = 16
_PATIENCE_SECONDS = 20.0
_IDLE_SECONDS = 30.0
_END_SECONDS = 5.0


class Sharing(ThreadingHTTPServer):
    """Listens at the settings' `peer_url`. Raises OSError when it cannot."""

    daemon_threads = True

    def __init__(self, settings: Settings, cache: Cache, store: Store) -> None:
        address = urlsplit(settings.peer_url)
        super().__init__((address.hostname or "", address.port or 0), _Handler)
        self.authorization = f"Bearer {settings.peer_token.get_secret_value()}"
        self.cache, self.store = cache, store
        self.room = threading.BoundedSemaphore(MOST_AT_ONCE)


class _Handler(BaseHTTPRequestHandler):
    server: Sharing
    timeout = _IDLE_SECONDS
    server_version, sys_version = "chainrule", ""

    def do_GET(self) -> None:
        """Answer one request; the connection is closed after it."""
        given = self.headers.get("Authorization", "")
        wanted = PATH.fullmatch(self.path)
        start = RANGE.fullmatch(self.headers.get("Range", "bytes=0-"))
        if not hmac.compare_digest(given.encode(), self.server.authorization.encode()):
            self._refuse(HTTPStatus.UNAUTHORIZED)
        elif wanted is None or start is None:
            self._refuse(HTTPStatus.NOT_FOUND)
        elif not self.server.room.acquire(timeout=_PATIENCE_SECONDS):
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)
        else:
            try:
                self._give(wanted[1], wanted[2], int(start[1]))
            except NotFoundError:
                self._refuse(HTTPStatus.NOT_FOUND)
            except ChainruleError as error:
                log.warning("a chunk was not shared", reason=error.detail)
                self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)
            finally:
                self.server.room.release()

    def _give(self, version: str, digest: str, start: int) -> None:
        """Send a chunk of a version from byte `start` on; it stays here while that takes."""
        copy = Copy(self.server.cache, self.server.store, version)
        try:
            chunks = copy.manifest.chunks if copy.manifest is not None else ()
            chunk = next((one for one in chunks if one.digest == digest), None)
            if chunk is None or start > chunk.size:
                raise NotFoundError("there is no such chunk")
            with copy.bring(chunk).open("rb") as file:
                file.seek(start)
                self.send_response(HTTPStatus.PARTIAL_CONTENT)
                self.send_header("Content-Type", "application/octet-stream")
                self.send_header("Content-Length", str(chunk.size - start))
                self.end_headers()
                with suppress(OSError):  # who asked may have gone
                    shutil.copyfileobj(file, self.wfile, BLOCK_BYTES)
        finally:
            copy.close()

    def _refuse(self, status: HTTPStatus) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing: every job asks for thousands of chunks."""


@contextmanager
def sharing(settings: Settings) -> Iterator[None]:
    """While it lasts, a process shares this worker's chunks, if the settings name a `peer_url`."""
    if not settings.peer_url:
        yield
        return
    process = subprocess.Popen([sys.executable, "-m", "worker.node.chunk_server"])
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def main() -> None:
    """Share until the worker ends."""
    end_with_parent(signal.SIGTERM)
    settings = Settings()
    logs.configure(role="sharing")
    cache = Cache(settings.data_dir / "cache", settings.cache_bytes)
    try:
        server = Sharing(settings, cache, open_store(settings.resolved_store_url))
    except OSError as error:
        log.error("chunks are not shared: cannot listen", url=settings.peer_url, why=str(error))
        return
    with server:
        server.serve_forever()


if __name__ == "__main__":
    main()
