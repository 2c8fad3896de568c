"""The box importers: the same two boxes written in every format come back the same."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from boneage_roi.datasets.formats.boxes_csv import read_boxes_csv
from boneage_roi.datasets.formats.coco import read_coco_boxes
from boneage_roi.datasets.formats.pascal_voc import read_pascal_voc
from boneage_roi.datasets.formats.yolo import read_yolo
from boneage_roi.errors import InputError

# Of an image of 200 x 400 pixels: (20, 40, 60, 120) and (100, 200, 200, 400).
BOXES = pd.DataFrame(
    [("7", "DIP", 0.1, 0.1, 0.3, 0.3), ("7", "Radius", 0.5, 0.5, 1.0, 1.0)],
    columns=["id", "label", "xmin", "ymin", "xmax", "ymax"],
)

VOC = """<annotation><filename>x.png</filename><size><width>200</width><height>400</height></size>
<object><name>DIP</name><bndbox><xmin>20</xmin><ymin>40</ymin><xmax>60</xmax><ymax>120</ymax></bndbox></object>
<object><name>Radius</name><bndbox><xmin>100</xmin><ymin>200</ymin><xmax>200</xmax><ymax>400</ymax></bndbox></object>
</annotation>"""

YOLO = "0 0.2 0.2 0.2 0.2\n\n1 0.75 0.75 0.5 0.5 0.9\n"

COCO = {
    "images": [{"id": 3, "file_name": "images/7.png", "width": 200, "height": 400}],
    "categories": [{"id": 1, "name": "DIP"}, {"id": 5, "name": "Radius"}],
    "annotations": [
        {"image_id": 3, "category_id": 1, "bbox": [20, 40, 40, 80]},
        {"image_id": 3, "category_id": 5, "bbox": [100, 200, 100, 200]},
    ],
}


def same(frame: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(frame[list(BOXES.columns)], BOXES, check_dtype=False)


def test_pascal_voc_file_and_folder(tmp_path: Path) -> None:
    (tmp_path / "7.xml").write_text(VOC)
    same(read_pascal_voc(tmp_path / "7.xml"))
    same(read_pascal_voc(tmp_path))


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("data.yaml", "names: [DIP, Radius]"),
        ("data.yaml", "names: {0: DIP, 1: Radius}"),
        ("classes.txt", "DIP\nRadius\n"),
        ("../classes.txt", "DIP\r\nRadius\r\n"),
    ],
)
def test_yolo_with_names_of_either_kind(tmp_path: Path, name: str, names: str) -> None:
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / name).write_text(names)
    (tmp_path / "labels/7.txt").write_text(YOLO)
    same(read_yolo(tmp_path / "labels"))


def test_coco(tmp_path: Path) -> None:
    (tmp_path / "coco.json").write_text(json.dumps(COCO))
    same(read_coco_boxes(tmp_path / "coco.json"))


def test_box_csv_and_its_source(tmp_path: Path) -> None:
    BOXES.to_csv(tmp_path / "mine.csv", index=False)
    frame = read_boxes_csv(tmp_path / "mine.csv")
    same(frame)
    assert set(frame["source"]) == {"mine"}


def test_boxes_are_cut_to_the_image_and_empty_ones_dropped(tmp_path: Path) -> None:
    lines = "id,source,label,xmin,ymin,xmax,ymax\n1,s,a,-0.01,0.2,0.5,1.02\n1,s,b,0.3,0.2,0.5,0.2\n"
    (tmp_path / "boxes.csv").write_text(lines)
    frame = read_boxes_csv(tmp_path / "boxes.csv")
    assert frame[["label", "xmin", "ymin", "xmax", "ymax"]].to_numpy().tolist() == [["a", 0, 0.2, 0.5, 1]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<annotation>", "not readable XML"),
        (VOC.replace("<width>200</width>", ""), "size/width is None"),
        (VOC.replace("<width>200</width>", "<width>0</width>"), "size is 0 x 400"),
        (VOC.replace("<xmin>20</xmin>", "<xmin>left</xmin>"), "bndbox/xmin is 'left'"),
        (VOC.replace("<name>DIP</name>", ""), "an object has no name"),
        (VOC.replace("<xmax>60</xmax>", "<xmax>600</xmax>"), "id 7: box .* outside the image"),
        (VOC.replace("<xmax>60</xmax>", "<xmax>10</xmax>"), "id 7: box .* turned round"),
    ],
)
def test_malformed_voc(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "7.xml").write_text(text)
    with pytest.raises(InputError, match=message):
        read_pascal_voc(tmp_path)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"7.txt": YOLO}, "no class names"),
        ({"classes.txt": "DIP\nRadius"}, "no YOLO .txt labels"),
        ({"data.yaml": "nc: 2", "7.txt": YOLO}, "no class names in it"),
        ({"classes.txt": "DIP", "7.txt": YOLO}, "line 3: class 1 has no name; there are 1"),
        ({"classes.txt": "DIP", "7.txt": "0 0.5 0.5 0.1"}, "line 1: must be"),
        ({"classes.txt": "DIP", "7.txt": "0 50 50 10 10"}, "id 7: box .* outside the image"),
    ],
)
def test_malformed_yolo(tmp_path: Path, files: dict[str, str], message: str) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        read_yolo(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "must be an object"),
        ({"images": []}, "not a COCO file"),
        (COCO | {"images": []}, "annotation 0: its image"),
        (COCO | {"categories": []}, "annotation 0: its image .* or category"),
        (
            COCO | {"annotations": [COCO["annotations"][0] | {"bbox": [1, 2, 3]}]},
            "annotation 0: bbox must be 4 numbers",
        ),
    ],
)
def test_malformed_coco(tmp_path: Path, content: object, message: str) -> None:
    (tmp_path / "coco.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=message):
        read_coco_boxes(tmp_path / "coco.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,label,xmin\n1,a,0\n", "no `ymin` column; it has id, label, xmin"),
        ("id,label,xmin,ymin,xmax,ymax\n1,a,0,0,x,1\n", "id 1: box"),
        ("", "not a readable box CSV"),
    ],
)
def test_malformed_box_csv(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "boxes.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_boxes_csv(tmp_path / "boxes.csv")


@pytest.mark.parametrize("read", [read_pascal_voc, read_coco_boxes, read_boxes_csv])
def test_missing_file(tmp_path: Path, read: Callable[[Path], object]) -> None:
    with pytest.raises(InputError, match="none"):
        read(tmp_path / "none")
