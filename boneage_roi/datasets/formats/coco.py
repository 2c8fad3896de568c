"""COCO JSON: boxes, hand key points and outlines of one file; an image's file name without suffix is the id."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from boneage_roi.datasets.formats.boxes_csv import Row, boxes_frame
from boneage_roi.datasets.formats.json_file import numbers, read_json_object
from boneage_roi.datasets.formats.keypoints import KEYPOINTS, HandKeypoints
from boneage_roi.datasets.formats.polygons import Polygon, check_polygons
from boneage_roi.errors import InputError

OUTLINES = ("hand", "forearm", "arm")
"""Categories whose segmentation is part of the hand mask; that of a bone is not."""


@dataclass(frozen=True)
class _Annotation:
    hand: str
    label: str
    size: tuple[float, float]
    content: dict[str, Any]
    where: str

    def scaled(self, flat: Any) -> list[list[float]]:
        """[x, y] pairs in 0..1 from COCO's flat list of pixels."""
        if not isinstance(flat, list) or len(flat) % 2:
            raise InputError(f"{self.where}: must be a flat list of x, y, x, y ...")
        values = numbers(flat, len(flat), self.where)
        return [[x / self.size[0], y / self.size[1]] for x, y in zip(values[::2], values[1::2], strict=True)]


def read_coco_boxes(path: Path) -> pd.DataFrame:
    """Read the boxes of a COCO file.

    Returns:
        ``id, label, xmin, ymin, xmax, ymax``, corners in 0..1; ``label`` is the category's name.

    Raises:
        InputError: not COCO, an unknown image or category, or a malformed box.
    """
    return boxes_frame((_box(annotation) for annotation in _annotations(path) if "bbox" in annotation.content), path)


def read_coco_keypoints(path: Path) -> dict[str, HandKeypoints]:
    """Read hands with 21 key points from a COCO file; annotations without key points are left out.

    Raises:
        InputError: not COCO, or a hand has other than 21 points.
    """
    return {
        annotation.hand: _keypoints(annotation)
        for annotation in _annotations(path)
        if annotation.content.get("keypoints")
    }


def read_coco_polygons(path: Path) -> dict[str, list[Polygon]]:
    """Read the outlines of hand and forearm of a COCO file; other categories and run-length masks are left out.

    Raises:
        InputError: not COCO, or a polygon is malformed.
    """
    polygons: dict[str, list[Polygon]] = {}
    for annotation in _annotations(path):
        outlines = annotation.content.get("segmentation")
        if isinstance(outlines, list) and annotation.label.lower() in OUTLINES:
            scaled = [annotation.scaled(outline) for outline in outlines]
            polygons.setdefault(annotation.hand, []).extend(check_polygons(scaled, annotation.where))
    return polygons


def _annotations(path: Path) -> Iterator[_Annotation]:
    content = read_json_object(path)
    try:
        images = {image["id"]: image for image in content["images"]}
        labels = {category["id"]: str(category["name"]) for category in content["categories"]}
        annotations = list(content["annotations"])
    except (KeyError, TypeError):
        raise InputError(f"{path}: not a COCO file; it needs images, categories and annotations") from None
    for index, annotation in enumerate(annotations):
        where = f"{path}: annotation {index}"
        try:
            image, label = images[annotation["image_id"]], labels[annotation["category_id"]]
            hand, size = Path(image["file_name"]).stem, (float(image["width"]), float(image["height"]))
        except (KeyError, TypeError, ValueError):
            raise InputError(
                f"{where}: its image (with file_name, width, height) or category is not in the file"
            ) from None
        if min(size) <= 0:
            raise InputError(f"{where}: image {hand} has size {size[0]:g} x {size[1]:g}")
        yield _Annotation(hand, label, size, annotation, where)


def _box(annotation: _Annotation) -> Row:
    (x, y), (width, height) = annotation.scaled(numbers(annotation.content["bbox"], 4, f"{annotation.where}: bbox"))
    return annotation.hand, annotation.label, x, y, x + width, y + height


def _keypoints(annotation: _Annotation) -> HandKeypoints:
    values = numbers(annotation.content["keypoints"], 3 * KEYPOINTS, f"{annotation.where}: keypoints")
    width, height = annotation.size
    points = [[x / width, y / height, v] for x, y, v in zip(values[::3], values[1::3], values[2::3], strict=True)]
    box = list(_box(annotation)[2:]) if "bbox" in annotation.content else None
    return {"side": None, "hand_box": box, "keypoints": points}
