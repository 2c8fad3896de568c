"""Asking an archive over DICOMweb that is not there, or not well: told soon, and not the end of the program."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytest.importorskip("dicomweb_client", reason="needs the extra `node`")
pytest.importorskip("pynetdicom", reason="needs the extra `node`")
pytest.importorskip("highdicom", reason="needs the extra `dicom`")

from boneage_roi.service.node.queue import Queue
from boneage_roi.service.node.receive import Rules
from boneage_roi.service.node.web import Archive, Fetcher
from tests.service.conftest import free_port

SOON = 12
"""Seconds: a try to connect, on a busy machine."""


def asked(port: int, folder: Path) -> tuple[str, float]:
    """What is said of an archive on a port, and after how many seconds."""
    fetcher = Fetcher(Archive(f"http://127.0.0.1:{port}/dicom-web").client(), Queue(folder), Rules(), None)
    start = time.monotonic()
    assert fetcher.fetch(lambda: False) == 0
    return fetcher.failed, time.monotonic() - start


def test_an_archive_that_is_down_is_told_soon(tmp_path: Path) -> None:
    said, seconds = asked(free_port(), tmp_path / "queue")
    assert said == "the archive cannot be asked: ConnectionError"
    assert seconds < SOON


def test_an_archive_that_takes_no_connection_is_told_soon(tmp_path: Path) -> None:
    """As behind a firewall: packets are dropped. Here a backlog is full."""
    with ExitStack() as stack:
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(8):
            one = stack.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        said, seconds = asked(full.getsockname()[1], tmp_path / "queue")
    assert said == "the archive cannot be asked: ConnectTimeout"
    assert seconds < SOON


@pytest.fixture
def overloaded() -> Iterator[int]:
    """The port of an archive that has no time for anyone."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(503)

        def log_message(self, *said: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_an_overloaded_archive_is_asked_again_later(overloaded: int, tmp_path: Path) -> None:
    said, seconds = asked(overloaded, tmp_path / "queue")
    assert said == "the archive cannot be asked: HTTPError"
    assert seconds < SOON
