"""The annotations beside a data set, whatever their format, in the one form that a run keeps."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

import pandas as pd

from boneage_roi.datasets.formats.boxes_csv import read_boxes_csv
from boneage_roi.datasets.formats.coco import read_coco_boxes, read_coco_keypoints, read_coco_polygons
from boneage_roi.datasets.formats.keypoints import HandKeypoints, read_keypoints
from boneage_roi.datasets.formats.pascal_voc import read_pascal_voc
from boneage_roi.datasets.formats.polygons import Polygon, read_polygons
from boneage_roi.datasets.formats.yolo import read_yolo
from boneage_roi.files import write_atomically

BOX_COLUMNS = ["id", "source", "label", "xmin", "ymin", "xmax", "ymax"]

T = TypeVar("T")

BOX_FORMATS: dict[str, Callable[[Path], pd.DataFrame]] = {
    "voc": read_pascal_voc,
    "yolo": read_yolo,
    "coco.json": read_coco_boxes,
}
KEYPOINT_FORMATS: dict[str, Callable[[Path], dict[str, HandKeypoints]]] = {
    "keypoints.json": read_keypoints,
    "coco.json": read_coco_keypoints,
}
POLYGON_FORMATS: dict[str, Callable[[Path], dict[str, list[Polygon]]]] = {
    "hand_polygons.json": read_polygons,
    "labelme": read_polygons,
    "coco.json": read_coco_polygons,
}
"""From the file's or folder's name in ``annotations/`` to what reads it. All boxes are read, unless there is a
``boxes.csv``; of the others the first that is there."""


@dataclass(frozen=True, eq=False)
class Annotations:
    """What people drew on the hands of a data set, in 0..1 of each image's width and height.

    Attributes:
        boxes: ``id, source, label, xmin, ymin, xmax, ymax``.
        keypoints: by id, see ``read_keypoints``.
        polygons: by id, see ``read_polygons``.
    """

    boxes: pd.DataFrame
    keypoints: dict[str, HandKeypoints]
    polygons: dict[str, list[Polygon]]

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read a data set's ``annotations`` folder; what is not there is empty.

        Args:
            folder: holds boxes.csv, or else voc/, yolo/ and coco.json; keypoints.json, or else coco.json;
                hand_polygons.json, or else labelme/ or coco.json.

        Raises:
            InputError: one of the files is malformed.
        """
        return cls(_boxes(folder), _first(folder, KEYPOINT_FORMATS), _first(folder, POLYGON_FORMATS))

    def write(self, folder: Path, ids: set[str]) -> None:
        """Write the annotations of the given hands as ``boxes.csv``, ``keypoints.json`` and ``polygons.json``."""
        boxes = self.boxes[self.boxes["id"].isin(ids)]
        write_atomically(folder / "boxes.csv", boxes.to_csv(index=False, float_format="%.6g"))
        for name, content in (("keypoints.json", self.keypoints), ("polygons.json", self.polygons)):
            write_atomically(folder / name, json.dumps({hand: value for hand, value in content.items() if hand in ids}))


def fingerprint(source: Path) -> str:
    """SHA-256 of all that an annotations folder holds."""
    digest = hashlib.sha256()
    for file in sorted(file for file in source.rglob("*") if file.is_file()):
        digest.update(f"{file.relative_to(source)}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _first(folder: Path, formats: dict[str, Callable[[Path], dict[str, T]]]) -> dict[str, T]:
    """What the first format says that is there."""
    return next((read(folder / name) for name, read in formats.items() if (folder / name).exists()), {})


def _boxes(source: Path) -> pd.DataFrame:
    if (source / "boxes.csv").is_file():
        return read_boxes_csv(source / "boxes.csv")
    found = [
        read(source / name).assign(source=Path(name).stem)
        for name, read in BOX_FORMATS.items()
        if (source / name).exists()
    ]
    return pd.concat(found, ignore_index=True)[BOX_COLUMNS] if found else pd.DataFrame(columns=BOX_COLUMNS)
