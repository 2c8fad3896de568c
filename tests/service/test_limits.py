"""Requests that mean no good: each is answered with 4xx, and the service goes on."""

import gzip
import io
import json
import logging
import socket
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from fastapi.testclient import TestClient

from boneage_roi.pipeline.reader import BoneAgeReader
from boneage_roi.service.app import create_app
from boneage_roi.service.settings import Settings
from tests.bundles import EXAMPLES
from tests.golden import FILE as GOLDEN
from tests.service.conftest import Running

MEGA = 2**20


def png_bomb() -> bytes:
    """A small file that says it is a huge picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(10**6))) + chunk(b"IEND", b"")
    )


def form(file: bytes, boundary: str = "xx", head: str = 'name="file"; filename="a.png"') -> bytes:
    start = f"--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode()
    return start + file + f"\r\n--{boundary}--\r\n".encode()


def request(
    body: bytes = b"",
    path: str = "/v1/readings",
    *heads: str,
    kind: str = "image/png",
    method: str = "POST",
    length: str | None = None,
) -> bytes:
    """A request as it goes over the wire."""
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
    head += f"Content-Length: {len(body) if length is None else length}\r\n" if length != "" else ""
    return (head + "".join(f"{line}\r\n" for line in heads) + "Connection: close\r\n\r\n").encode("latin-1") + body


MULTIPART = "multipart/form-data; boundary=xx"

HOSTILE: dict[str, Callable[[bytes], bytes]] = {
    "body larger than said allowed": lambda girl: request(length=str(10**9)),
    "body of no end, in chunks": lambda girl: (
        (request(b"", "/v1/readings", "Transfer-Encoding: chunked", length="") + b"100000\r\n" + bytes(MEGA) + b"\r\n")
        + (b"100000\r\n" + bytes(MEGA) + b"\r\n") * 5
    ),
    "body shorter than said": lambda girl: request(girl[:100], length="200"),
    "negative length": lambda girl: request(girl, length="-5"),
    "two lengths": lambda girl: request(girl, "/v1/readings", "Content-Length: 3"),
    "length and chunks": lambda girl: request(girl, "/v1/readings", "Transfer-Encoding: gzip"),
    "empty body": lambda girl: request(b""),
    "cut image": lambda girl: request(girl[: len(girl) // 2]),
    "text instead of an image": lambda girl: request(b"hello" * 100),
    "executable": lambda girl: request(b"\x7fELF" + bytes(1000)),
    "PNG bomb": lambda girl: request(png_bomb()),
    "gzip bomb": lambda girl: request(gzip.compress(bytes(50 * MEGA)), "/v1/readings", "Content-Encoding: gzip"),
    "XML entities": lambda girl: request(
        b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', kind="text/xml"
    ),
    "JSON body": lambda girl: request(b'{"url": "http://localhost/"}', kind="application/json"),
    "no type": lambda girl: request(girl, kind=""),
    "form without a boundary": lambda girl: request(form(girl), kind="multipart/form-data"),
    "form with another boundary": lambda girl: request(form(girl, "yy"), kind=MULTIPART),
    "form without a file": lambda girl: request(form(b"M", head='name="sex"'), kind=MULTIPART),
    "form with a path for a file": lambda girl: request(form(b"/etc/passwd", head='name="file"'), kind=MULTIPART),
    "form with two files": lambda girl: request(form(girl).removesuffix(b"--xx--\r\n") + form(girl), kind=MULTIPART),
    "form of a thousand fields": lambda girl: request(
        b"".join(form(b"1", head=f'name="f{n}"').removesuffix(b"--xx--\r\n") for n in range(1000)) + form(girl),
        kind=MULTIPART,
    ),
    "field of a megabyte": lambda girl: request(form(b"M" * MEGA, head='name="sex"'), kind=MULTIPART),
    "part with a head of a megabyte": lambda girl: request(
        form(girl, head='name="file"; filename="' + "a" * MEGA + '"'), kind=MULTIPART
    ),
    "path traversal": lambda girl: request(b"", "/static/../../../../etc/passwd", method="GET"),
    "path traversal, encoded": lambda girl: request(b"", "/static/%2e%2e/%2e%2e/app.py", method="GET"),
    "path traversal, twice encoded": lambda girl: request(b"", "/static/%252e%252e%252fapp.py", method="GET"),
    "line break in a field": lambda girl: request(girl, "/v1/readings?sex=M%0d%0aSet-Cookie:%20a=b"),
    "line break in a head": lambda girl: request(girl, "/v1/readings", "X-A: b\nEvil: c\x00d"),
    "head of a megabyte": lambda girl: request(girl, "/v1/readings", "X-A: " + "a" * MEGA),
    "not HTTP": lambda girl: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200) + b"\r\n\r\n",
    "wrong method": lambda girl: request(girl, method="PUT"),
    "unknown field": lambda girl: request(girl, "/v1/readings?url=file:///etc/passwd"),
    "same field twice": lambda girl: request(girl, "/v1/readings?sex=M&sex=F"),
    "another site's page": lambda girl: request(girl, "/v1/readings", "Sec-Fetch-Site: cross-site"),
    "unknown path": lambda girl: request(b"", "/admin", method="GET"),
    "answer that there is none of": lambda girl: request(girl, "/v1/readings", "Accept: video/mp4"),
}


def exchange(service: Running, message: bytes, wait: float = 20) -> bytes:
    """Send bytes as they are, and take what comes until the service closes."""
    with socket.create_connection((service.host, service.port), wait) as line:
        answer = b""
        with suppress(OSError):  # it may answer and close before it has all
            line.sendall(message)
        with suppress(ConnectionResetError):
            while part := line.recv(65536):
                answer += part
        return answer


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_request_is_answered_with_4xx(running: Running, girl: bytes, kind: str) -> None:
    answer = exchange(running, HOSTILE[kind](girl))
    head = answer.split(b"\r\n\r\n")[0]
    assert head.startswith(b"HTTP/1.1 4"), answer[:300]
    assert b"set-cookie" not in head.lower()
    assert b"root:" not in answer
    assert exchange(running, request(b"", "/healthz", method="GET")).startswith(b"HTTP/1.1 200")


def test_a_body_that_comes_too_slowly_is_given_up(running: Running, girl: bytes) -> None:
    with socket.create_connection((running.host, running.port), 20) as line:
        line.sendall(request(b"", length="1000") + girl[:10])
        assert line.recv(65536).startswith(b"HTTP/1.1 408")


def test_the_service_still_reads_after_all_that(running: Running, girl: bytes) -> None:
    assert b'"bone_age_months"' in exchange(running, request(girl, "/v1/readings?sex=F"), 60)


@pytest.fixture(scope="module")
def guarded(reader: BoneAgeReader) -> Iterator[TestClient]:
    """A service with a token."""
    with TestClient(create_app(reader, Settings(token="correct-horse"))) as client:
        yield client


@pytest.mark.parametrize("given", [None, "", "Bearer", "Bearer wrong", "Basic correct-horse", "Bearer corréct"])
def test_without_the_token_nothing_is_read(guarded: TestClient, girl: bytes, given: str | None) -> None:
    heads = {b"Content-Type": b"image/png"}
    if given is not None:
        heads[b"Authorization"] = given.encode("latin-1")
    said = guarded.post("/v1/readings", content=girl, headers=heads)
    assert said.status_code == 401
    assert said.headers["www-authenticate"] == "Bearer"
    assert guarded.get("/metrics").status_code == 401


def test_with_the_token_it_reads_and_health_needs_none(guarded: TestClient, girl: bytes) -> None:
    heads = {"Content-Type": "image/png", "Authorization": "Bearer correct-horse"}
    assert guarded.post("/v1/readings?sex=F", content=girl, headers=heads).status_code == 200
    assert guarded.get("/healthz").status_code == 200
    assert guarded.get("/").status_code == 200


@pytest.mark.parametrize("path", ["/", "/docs", "/v1/bundle", "/healthz", "/nothing", "/static/app.js"])
def test_every_answer_has_the_security_headers(client: TestClient, path: str) -> None:
    heads = client.get(path, headers={"Origin": "https://example.org"}).headers
    assert "unsafe" not in heads["content-security-policy"]
    assert heads["x-content-type-options"] == "nosniff"
    assert heads["x-frame-options"] == "DENY"
    assert not [name for name in heads if name.startswith("access-control")]


def test_neither_log_nor_metrics_tell_who_or_what(
    client: TestClient, girl: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "boneage_roi"):
        client.post(
            "/v1/readings?sex=F&secret=Mustermann",
            files={"file": ("Mustermann-Max.png", girl)},
            headers={"X-Name": "Mustermann", "User-Agent": "Mustermann", "Authorization": "Bearer Mustermann"},
        )
        client.get("/Mustermann")
    assert caplog.text
    assert "Mustermann" not in caplog.text
    counted = client.get("/metrics").text
    assert 'route="/v1/readings"' in counted
    assert "Mustermann" not in counted


def test_what_holds_no_reading_leaves_no_file(
    client: TestClient, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An upload is held in memory alone."""
    monkeypatch.setattr("tempfile.TemporaryFile", lambda *a, **k: pytest.fail("a file was made"))
    assert client.post("/v1/readings", files={"file": ("a", bytes(3 * MEGA))}).status_code == 422


def test_the_page_and_all_it_loads_come_from_the_service(client: TestClient) -> None:
    for path in (EXAMPLES.parent / "boneage_roi/service/static").rglob("*"):
        if path.suffix in (".html", ".js", ".css", ".svg"):
            text = path.read_text(encoding="utf-8").replace("http://www.w3.org/", "")
            assert "http:" not in text, path
            assert "https:" not in text, path
    assert client.get("/").text.count("/static/app.js") == 1


def test_openapi_describes_every_route(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/v1/readings", "/v1/regions", "/v1/bundle", "/healthz", "/readyz", "/metrics"} <= set(paths)
    described = paths["/v1/readings"]["post"]
    assert "file" in described["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]
    assert "429" in described["responses"]


def test_ready_says_which_bundle(client: TestClient) -> None:
    assert client.get("/readyz").json() == {"status": "ok", "bundle": "default"}


def test_a_defect_is_told_without_its_text(
    reader: BoneAgeReader, girl: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("Mustermann")

    monkeypatch.setattr("boneage_roi.service.app.read", broken)
    with TestClient(create_app(reader), raise_server_exceptions=False) as client:
        said = client.post("/v1/readings", content=girl, headers={"Content-Type": "image/png"})
    assert said.status_code == 500
    assert said.headers["content-type"] == "application/problem+json"
    assert "Mustermann" not in said.text + caplog.text


def test_a_dicom_body_is_read(client: TestClient) -> None:
    assert (
        client.post(
            "/v1/readings", content=io.BytesIO(b"\0" * 128 + b"DICM"), headers={"Content-Type": "application/dicom"}
        )
        .json()["detail"]
        .startswith("the DICOM file")
    )


def test_the_client_of_the_examples_reads(running: Running) -> None:
    command = [sys.executable, str(EXAMPLES / "client.py"), "--url", running.url, "--sex", "F"]
    said = subprocess.run(
        [*command, str(EXAMPLES / "girl-10y.png"), str(EXAMPLES / "README.md")], capture_output=True, text=True
    )
    first, second = said.stdout.splitlines()
    girl = json.loads(GOLDEN.read_text(encoding="utf-8"))["with test-time augmentation"]["girl-10y"]
    assert first.endswith(f"girl-10y.png: {girl['bone_age']} months ({girl['lower']} to {girl['upper']})")
    assert "not an image" in second
