"""A reading in every form, and why it is what it is."""

import io
import json
from email import message_from_bytes
from email.policy import HTTP
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.service.test_node import radiograph


def post(client: TestClient, data: bytes, accept: str, to: str = "/v1/readings", **fields: str) -> Any:
    return client.post(to, files={"file": ("a", data)}, data=fields, headers={"Accept": accept})


@pytest.fixture(scope="module")
def dicom(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return radiograph(tmp_path_factory.mktemp("dicom") / "hand.dcm", 3).read_bytes()


def test_a_report_as_html_loads_nothing_and_may_run_nothing(client: TestClient, girl: bytes) -> None:
    said = post(client, girl, "text/html", sex="F", chronological_age="10y", language="de")
    assert said.status_code == 200
    assert said.headers["content-type"].startswith("text/html")
    assert "sandbox" in said.headers["content-security-policy"]
    assert 'lang="de"' in said.text
    assert "<script" not in said.text


def test_a_report_as_pdf(client: TestClient, girl: bytes) -> None:
    pytest.importorskip("reportlab", reason="needs the extra `report`")
    said = post(client, girl, "application/pdf", sex="F", chronological_age="10y")
    assert said.content.startswith(b"%PDF-")


def test_a_language_that_there_is_not_is_one_line(client: TestClient, girl: bytes) -> None:
    said = post(client, girl, "text/html", sex="F", language="xx")
    assert said.status_code == 422
    assert "language" in said.json()["detail"]


def test_fhir_refers_to_the_study(client: TestClient, dicom: bytes) -> None:
    pytest.importorskip("fhir.resources", reason="needs the extra `fhir`")
    pydicom = pytest.importorskip("pydicom")
    said = post(client, dicom, "application/fhir+json")
    assert said.headers["content-type"].startswith("application/fhir+json")
    assert said.json()["resourceType"] == "Bundle"
    assert pydicom.dcmread(io.BytesIO(dicom)).StudyInstanceUID in said.text


def test_dicom_is_a_report_and_a_picture_of_the_same_study(client: TestClient, dicom: bytes) -> None:
    pytest.importorskip("highdicom", reason="needs the extra `dicom`")
    from pydicom import dcmread

    source = dcmread(io.BytesIO(dicom))
    said = post(client, dicom, 'multipart/related; type="application/dicom"')
    assert said.status_code == 200, said.text
    head = f"Content-Type: {said.headers['content-type']}\r\n\r\n".encode()
    parts = message_from_bytes(head + said.content, policy=HTTP).iter_parts()
    payloads = [part.get_payload(decode=True) for part in parts]
    objects = [dcmread(io.BytesIO(payload)) for payload in payloads if isinstance(payload, bytes)]
    assert [each.Modality for each in objects] == ["SR", "OT"]
    assert {each.StudyInstanceUID for each in objects} == {source.StudyInstanceUID}
    alone = dcmread(io.BytesIO(post(client, dicom, "application/dicom").content))
    assert alone.SOPInstanceUID == objects[0].SOPInstanceUID


def test_dicom_of_an_image_without_a_study_is_one_line(client: TestClient, girl: bytes) -> None:
    pytest.importorskip("highdicom", reason="needs the extra `dicom`")
    said = post(client, girl, "application/dicom", sex="F")
    assert said.status_code == 422
    assert "no DICOM file" in said.json()["detail"]


def test_an_accept_with_wishes(client: TestClient, girl: bytes) -> None:
    assert post(client, girl, "video/mp4, text/*;q=0.1, application/json;q=0.9", sex="F").json()["sex"] == "F"
    assert post(client, girl, "*/*", sex="F").json()["sex"] == "F"


def test_the_parts_of_a_reading(client: TestClient, girl: bytes) -> None:
    said = post(client, girl, "*/*", "/v1/explanations", sex="F", method="parts").json()
    assert set(said["table"]) >= {"hand", "carpal"}


def test_a_map_is_a_picture_of_the_frame(client: TestClient, girl: bytes) -> None:
    import base64

    from PIL import Image

    said = post(client, girl, "*/*", "/v1/explanations", sex="F", method="age-map").json()
    assert said["signed"]
    assert said["low"] == -said["high"]
    layer = Image.open(io.BytesIO(base64.b64decode(said["layer"].split(",")[1])))
    assert (layer.size, layer.mode) == ((416, 512), "RGBA")
    assert layer.getpixel((2, 2))[3] == 0  # type: ignore[index]


@pytest.mark.parametrize(("fields", "word"), [({"method": "magic", "sex": "F"}, "method"), ({}, "sex")])
def test_an_explanation_that_cannot_be_is_one_line(
    client: TestClient, girl: bytes, fields: dict[str, str], word: str
) -> None:
    said = post(client, girl, "*/*", "/v1/explanations", **fields)
    assert said.status_code == 422
    assert word in said.json()["detail"]


def test_bones_lie_on_the_radiograph(client: TestClient, girl: bytes) -> None:
    said = post(client, girl, "*/*", sex="F", include="geometry").json()
    width, height = said["geometry"]["size"]
    assert {bone["name"] for bone in said["bones"]} >= {"MCP3", "radius"}
    assert all(0 <= bone["x"] <= width and -20 <= bone["y"] <= height + 20 for bone in said["bones"])
    assert json.dumps(said)
