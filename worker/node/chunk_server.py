"""The chunk server: a process of the worker that serves chunks of its cache to other workers.

GET /versions/<digest>/chunks/<digest> with the token that all workers share. A chunk that is not in
the cache is fetched from the store first, once for all concurrent requests.
"""

import hmac
import os
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
from core.sandbox.process import end_with_parent, hide_memory
from core.settings import Settings
from worker.node import logs

log = structlog.get_logger()

PATH = re.compile(r"/versions/([0-9a-f]{64})/chunks/([0-9a-f]{64})")
RANGE = re.compile(r"bytes=([0-9]{1,15})-")
MAX_CONCURRENT = 16
_QUEUE_SECONDS = 20.0
_IDLE_SECONDS = 30.0
_END_SECONDS = 5.0


class ChunkServer(ThreadingHTTPServer):
    """An HTTP server at the settings' `peer_url`. Raises OSError when it cannot listen there."""

    daemon_threads = True

    def __init__(self, settings: Settings, cache: Cache, store: Store) -> None:
        address = urlsplit(settings.peer_url)
        super().__init__((address.hostname or "", address.port or 0), _Handler)
        self.authorization = f"Bearer {settings.peer_token.get_secret_value()}"
        self.cache, self.store = cache, store
        self.free = threading.BoundedSemaphore(MAX_CONCURRENT)


class _Handler(BaseHTTPRequestHandler):
    server: ChunkServer
    timeout = _IDLE_SECONDS
    server_version, sys_version = "chainrule", ""

    def do_GET(self) -> None:
        """Answer one request; then the connection is closed."""
        authorization = self.headers.get("Authorization", "")
        path = PATH.fullmatch(self.path)
        start = RANGE.fullmatch(self.headers.get("Range", "bytes=0-"))
        if not hmac.compare_digest(authorization.encode(), self.server.authorization.encode()):
            self._refuse(HTTPStatus.UNAUTHORIZED)
        elif path is None or start is None:
            self._refuse(HTTPStatus.NOT_FOUND)
        elif not self.server.free.acquire(timeout=_QUEUE_SECONDS):
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)
        else:
            try:
                self._send(path[1], path[2], int(start[1]))
            except NotFoundError:
                self._refuse(HTTPStatus.NOT_FOUND)
            except ChainruleError as error:
                log.warning("cannot serve a chunk", reason=error.detail)
                self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)
            finally:
                self.server.free.release()

    def _send(self, version: str, digest: str, start: int) -> None:
        """Send a chunk of a version from byte `start` on; it stays in the cache meanwhile."""
        copy = Copy(self.server.cache, self.server.store, version)
        try:
            chunks = copy.manifest.chunks if copy.manifest is not None else ()
            chunk = next((chunk for chunk in chunks if chunk.digest == digest), None)
            if chunk is None or start > chunk.size:
                raise NotFoundError("there is no such chunk")
            with copy.bring(chunk).open("rb") as file:
                file.seek(start)
                self.send_response(HTTPStatus.PARTIAL_CONTENT)
                self.send_header("Content-Type", "application/octet-stream")
                self.send_header("Content-Length", str(chunk.size - start))
                self.end_headers()
                with suppress(OSError):  # the client may have gone
                    shutil.copyfileobj(file, self.wfile, BLOCK_BYTES)
        finally:
            copy.close()

    def _refuse(self, status: HTTPStatus) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing: every job requests thousands of chunks."""


@contextmanager
def serving_chunks(settings: Settings) -> Iterator[None]:
    """Run the chunk server in a process while the context lasts, if there is a `peer_url`."""
    if not settings.peer_url:
        yield
        return
    process = subprocess.Popen(
        [sys.executable, "-m", "worker.node.chunk_server"],
        env=os.environ | settings.secret_variables,
    )
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
    """Serve chunks until the worker ends."""
    end_with_parent(signal.SIGTERM)
    hide_memory()
    settings = Settings()
    logs.configure(role="sharing")
    cache = Cache(settings.data_dir / "cache", settings.cache_bytes)
    try:
        server = ChunkServer(settings, cache, open_store(settings.resolved_store_url))
    except OSError as error:
        log.error("chunks are not shared: cannot listen", url=settings.peer_url, reason=str(error))
        return
    with server:
        server.serve_forever()


if __name__ == "__main__":
    main()
