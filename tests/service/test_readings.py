"""What the REST interface answers."""

import io
import json
from typing import Any

import cv2
import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from boneage_roi.pipeline.item import Item
from boneage_roi.pipeline.reader import BoneAgeReader
from tests.bundles import EXAMPLES


def post(client: TestClient, data: bytes, to: str = "/v1/readings", **fields: str) -> Any:
    return client.post(to, files={"file": ("a.png", data)}, data=fields)


def test_a_form_gives_the_record_that_the_command_prints(
    client: TestClient, reader: BoneAgeReader, girl: bytes
) -> None:
    from boneage_roi.outputs.records import result_record
    from boneage_roi.pipeline.batch import predict_files

    item = Item(str(EXAMPLES / "girl-10y.png"), sex="F", chronological_age=124)
    (outcome,) = predict_files(BoneAgeReader(), [item])
    said = post(client, girl, sex="F", chronological_age="10y4m").json()
    assert said == result_record(outcome, reader.regions) | {"path": "upload"}


def test_a_raw_body_and_a_query_say_the_same_as_a_form(client: TestClient, girl: bytes) -> None:
    raw = client.post("/v1/readings?sex=F", content=girl, headers={"Content-Type": "image/png"})
    assert raw.status_code == 200
    assert raw.json() == post(client, girl, sex="female").json()


def test_what_include_names_comes_along(client: TestClient, girl: bytes) -> None:
    said = post(client, girl, sex="F", include="geometry,distributions,pictures").json()
    assert said["geometry"]["size"] == [560, 700]
    ages = np.arange(said["age_grid"]["bins"]) * said["age_grid"]["width_months"]
    for region, distribution in said["distributions"].items():
        assert float(np.dot(ages, distribution)) == pytest.approx(said["regions"][region], abs=0.05)
    assert set(said["pictures"]["crops"]) == set(said["distributions"])
    assert said["pictures"]["radiograph"].startswith("data:image/png;base64,")


def test_bones_come_with_their_crops_and_distributions(client: TestClient, girl: bytes) -> None:
    said = post(client, girl, sex="F", include="geometry,distributions,pictures").json()
    bones = {bone["name"]: bone for bone in said["bones"]}
    ages = np.arange(said["age_grid"]["bins"])
    for name, bone in bones.items():
        assert bone["months"] == said["plates"][name]
        assert bone["crop"].startswith("data:image/png;base64,")
        assert (bone["months"] is None) == (name in said["plates_uncertain"]) == ("distribution" not in bone)
    assert float(np.dot(ages, bones["PIP3"]["distribution"])) == pytest.approx(bones["PIP3"]["months"], abs=1)
    assert len({bone["crop"] for bone in bones.values()}) == len(bones) == 22
    plain = post(client, girl, sex="F", include="geometry").json()["bones"]
    assert all("crop" not in bone and "distribution" not in bone for bone in plain)


def test_the_atlas_gives_the_standard_nearest_to_an_age(client: TestClient) -> None:
    known = client.get("/v1/atlas").json()
    assert len(known["standards"]) == 67
    answer = client.get("/v1/atlas/standard", params={"sex": "female", "age": "10y1m"})
    assert answer.headers["content-type"] == "image/webp"
    assert Image.open(io.BytesIO(answer.content)).size == (416, 512)
    assert answer.content == client.get("/v1/atlas/standard?sex=F&age=120").content
    assert answer.content != client.get("/v1/atlas/standard?sex=M&age=120").content
    for wrong in ("sex=&age=120", "sex=F&age=old", "sex=F", "sex=F&age=" + "9" * 5000):
        assert client.get(f"/v1/atlas/standard?{wrong}").status_code == 422


def test_boxes_sent_back_as_they_came_change_nothing(client: TestClient, girl: bytes) -> None:
    first = post(client, girl, sex="F", include="geometry").json()
    boxes = [{key: box[key] for key in ("region", "box", "confidence")} for box in first["geometry"]["boxes"]]
    assert post(client, girl, sex="F", include="geometry", boxes=json.dumps(boxes)).json() == first


def test_a_box_that_is_moved_changes_the_age_of_its_region_alone(client: TestClient, girl: bytes) -> None:
    first = post(client, girl, sex="F", include="geometry").json()
    boxes = [{key: box[key] for key in ("region", "box")} for box in first["geometry"]["boxes"]]
    for box in boxes:
        if box["region"] == "carpal":
            box["box"] = [side + 12 for side in box["box"]]
    second = post(client, girl, sex="F", boxes=json.dumps(boxes)).json()
    changed = {name for name, age in first["regions"].items() if abs(second["regions"][name] - age) > 0.2}
    assert changed == {"carpal"}


def test_an_image_that_lies_on_its_side_reads_the_same_once_it_is_turned(client: TestClient, girl: bytes) -> None:
    upright = np.asarray(Image.open(io.BytesIO(girl)).convert("L"))
    lying = cv2.imencode(".png", np.rot90(upright, 1))[1].tobytes()  # counter-clockwise
    assert post(client, lying, sex="F", turn="90").json() == post(client, girl, sex="F").json()


def test_native_size_undoes_a_squash(client: TestClient, girl: bytes) -> None:
    image = Image.open(io.BytesIO(girl))
    squashed = io.BytesIO()
    image.resize((560, 560)).save(squashed, "PNG")
    said = post(client, squashed.getvalue(), sex="F", native_size="560x700", include="geometry").json()
    assert said["geometry"]["size"] == [560, 700]


def test_an_image_without_a_hand_is_rejected_with_reasons(client: TestClient) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (300, 300), dtype=np.uint8)
    said = post(client, cv2.imencode(".png", noise)[1].tobytes())
    assert said.status_code == 422
    assert said.headers["content-type"] == "application/problem+json"
    assert said.json()["reasons"]
    assert "rejected" in said.json()["type"]
    assert "bytes" not in said.json()["detail"]


def test_a_hand_that_is_rejected_shows_its_geometry(client: TestClient, girl: bytes) -> None:
    said = post(client, girl, sex="F", boxes="[]", include="geometry")
    assert said.status_code == 422
    assert said.json()["geometry"]["hand"]


def test_regions_are_found_without_an_age(client: TestClient, girl: bytes) -> None:
    said = post(client, girl, to="/v1/regions").json()
    assert {box["region"] for box in said["boxes"]} >= {"carpal", "phalanx"}
    assert "bone_age_months" not in said
    assert said["rejections"] == []


def test_the_bundle_and_the_growth_table_are_told(client: TestClient, reader: BoneAgeReader) -> None:
    said = client.get("/v1/bundle").json()
    assert said["name"] == "default"
    assert said["fingerprint"] == reader.bundle.fingerprint
    assert said["license_note"]
    rows = client.get("/v1/growth").json()["rows"]
    assert len(rows["M"][0]) == 3
    assert rows["F"]


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"sex": "x"}, "sex"),
        ({"chronological_age": "soon"}, "age"),
        ({"birth_date": "2014-02-30", "study_date": "2020-01-01"}, "no such day"),
        ({"birth_date": "2014-02-03", "chronological_age": "5y"}, "not both"),
        ({"height_cm": "1.4"}, "height_cm"),
        ({"turn": "45"}, "turn"),
        ({"native_size": "0x0"}, "native_size"),
        ({"boxes": "{"}, "boxes"),
        ({"boxes": '[{"region": "hand", "box": [0, 0, 9, 9]}]'}, "hand"),
        ({"boxes": '[{"region": "carpal", "box": [0, 0, 1e999, 9]}]'}, "boxes"),
        ({"boxes": '[{"region": "carpal", "box": [9, 9, 1, 1]}]'}, "boxes"),
        ({"boxes": json.dumps([{"region": "carpal", "box": [0, 0, 9, 9]}] * 2)}, "carpal"),
        ({"boxes": "[" * 50_000}, "boxes"),
        ({"include": "secrets"}, "include"),
        ({"path": "/etc/passwd"}, "unknown field"),
        ({"url": "http://localhost/"}, "unknown field"),
    ],
)
def test_a_field_that_is_wrong_is_one_line(client: TestClient, girl: bytes, fields: dict[str, str], word: str) -> None:
    said = post(client, girl, **fields)
    assert said.status_code == 422
    assert word in said.json()["detail"]
    assert "\n" not in said.json()["detail"]
