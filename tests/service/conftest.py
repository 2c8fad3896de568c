"""A service on the shipped bundle, in this process and on a port of this computer."""

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

pytest.importorskip("fastapi", reason="needs the extra `serve`")
pytest.importorskip("uvicorn", reason="needs the extra `serve`")
pytest.importorskip("prometheus_client", reason="needs the extra `serve`")

from fastapi.testclient import TestClient

from boneage_roi.pipeline.bundle import DEFAULT_BUNDLE
from boneage_roi.pipeline.reader import BoneAgeReader
from boneage_roi.service.app import create_app
from boneage_roi.service.server import make_server
from boneage_roi.service.settings import Settings
from tests.bundles import EXAMPLES


@dataclass(frozen=True)
class Running:
    """A service that listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"


@pytest.fixture(scope="session")
def reader() -> BoneAgeReader:
    if not (DEFAULT_BUNDLE / "manifest.json").is_file() or not (EXAMPLES / "manifest.csv").is_file():
        pytest.skip("the default bundle or the examples are not there")
    return BoneAgeReader(threads=1)


@pytest.fixture(scope="session")
def client(reader: BoneAgeReader) -> Iterator[TestClient]:
    """Talks to the application without a network; small limits."""
    settings = Settings(max_upload=4 * 2**20, body_seconds=5)
    with TestClient(create_app(reader, settings), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="session")
def running(reader: BoneAgeReader) -> Iterator[Running]:
    with listening(reader, Settings(port=free_port(), max_upload=4 * 2**20, body_seconds=2)) as service:
        yield service


class listening:
    """Serves while the block runs."""

    def __init__(self, reader: BoneAgeReader, settings: Settings) -> None:
        self.settings = settings
        self.server = make_server(create_app(reader, settings), settings)
        self.thread = threading.Thread(target=self.server.run, daemon=True)

    def __enter__(self) -> Running:
        self.thread.start()
        until = time.monotonic() + 30
        while not self.server.started and time.monotonic() < until:
            time.sleep(0.05)
        assert self.server.started
        return Running(self.settings.host, self.settings.port)

    def __exit__(self, *problem: object) -> None:
        self.server.should_exit = True
        self.thread.join(40)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="session")
def girl() -> bytes:
    return (EXAMPLES / "girl-10y.png").read_bytes()
