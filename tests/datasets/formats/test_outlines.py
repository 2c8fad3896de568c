"""The importers of key points and outline polygons."""

import json
from pathlib import Path

import pytest

from boneage_roi.datasets.formats.coco import read_coco_keypoints, read_coco_polygons
from boneage_roi.datasets.formats.keypoints import read_keypoints
from boneage_roi.datasets.formats.polygons import read_polygons
from boneage_roi.errors import InputError

POINTS = [[0.25, 0.5, 2.0]] * 21
TRIANGLE = [[0.0, 0.0], [0.5, 0.0], [0.5, 1.0]]


def write(path: Path, content: object) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def coco(tmp_path: Path, category: str, **annotation: object) -> Path:
    content = {
        "images": [{"id": 1, "file_name": "7.png", "width": 200, "height": 400}],
        "categories": [{"id": 1, "name": category}],
        "annotations": [{"image_id": 1, "category_id": 1, **annotation}],
    }
    return write(tmp_path / "coco.json", content)


def test_keypoints(tmp_path: Path) -> None:
    hand = {"side": "L", "hand_box": [0.1, 0.2, 0.9, 1.0], "keypoints": POINTS}
    assert read_keypoints(write(tmp_path / "k.json", {"7": hand})) == {"7": hand}


def test_coco_keypoints_are_scaled(tmp_path: Path) -> None:
    path = coco(tmp_path, "hand", keypoints=[50, 200, 2] * 21, bbox=[20, 40, 100, 200])
    hand = read_coco_keypoints(path)["7"]
    assert hand["keypoints"] == POINTS
    assert hand["hand_box"] == pytest.approx([0.1, 0.1, 0.6, 0.6])
    assert hand["side"] is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not readable JSON"),
        ({"7": {"keypoints": POINTS[:20]}}, "id 7: `keypoints` must be 21 points"),
        ({"7": {"keypoints": [[1, 2]] * 21}}, "key point 0 must be 3 numbers"),
        ({"7": {"keypoints": POINTS, "side": "left"}}, "side is 'left'"),
        ({"7": {"keypoints": POINTS, "hand_box": [1, 2]}}, "hand_box must be 4 numbers"),
    ],
)
def test_malformed_keypoints(tmp_path: Path, content: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_keypoints(write(tmp_path / "k.json", content))


def test_polygons_by_id(tmp_path: Path) -> None:
    assert read_polygons(write(tmp_path / "p.json", {"7": [TRIANGLE]})) == {"7": [TRIANGLE]}


def test_labelme_file_and_folder(tmp_path: Path) -> None:
    shapes = [
        {"label": "hand", "shape_type": "polygon", "points": [[0, 0], [100, 0], [100, 400]]},
        {"label": "box", "shape_type": "rectangle", "points": [[0, 0], [10, 10]]},
    ]
    file = write(tmp_path / "7.json", {"imageWidth": 200, "imageHeight": 400, "shapes": shapes})
    assert read_polygons(file) == {"7": [TRIANGLE]}
    assert read_polygons(tmp_path) == {"7": [TRIANGLE]}


def test_coco_outlines_of_hands_only(tmp_path: Path) -> None:
    outline = [[0, 0, 100, 0, 100, 400]]
    assert read_coco_polygons(coco(tmp_path, "Hand", segmentation=outline)) == {"7": [TRIANGLE]}
    assert read_coco_polygons(coco(tmp_path, "Epiphysis", segmentation=outline)) == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"7": TRIANGLE[:1]}, "id 7: must be a list of polygons"),
        ({"7": [TRIANGLE[:2]]}, "three or more"),
        ({"7": [[[0, 0], [1, 0], ["a", 1]]]}, "a point must be 2 numbers"),
        ({"7": [[[0, 0], [299, 0], [0, 299]]]}, "outside the image; coordinates are 0..1"),
        ({"shapes": []}, "not a LabelMe file"),
    ],
)
def test_malformed_polygons(tmp_path: Path, content: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_polygons(write(tmp_path / "p.json", content))


def test_malformed_coco_outline(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="annotation 0: must be a flat list"):
        read_coco_polygons(coco(tmp_path, "hand", segmentation=[[0, 0, 1]]))
