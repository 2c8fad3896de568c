"""Boxes as Pascal VOC: one XML an image."""

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd

from boneage_roi.datasets.formats.boxes_csv import CORNERS, Row, boxes_frame
from boneage_roi.errors import InputError


def read_pascal_voc(path: Path) -> pd.DataFrame:
    """Read one VOC file or a folder of them; the XML's name is the id.

    Returns:
        ``id, label, xmin, ymin, xmax, ymax``, corners in 0..1 of the size that the file states.

    Raises:
        InputError: no XML there, not VOC, no image size, or a box outside the image.
    """
    files = sorted(path.glob("*.xml")) if path.is_dir() else [path]
    if not files:
        raise InputError(f"{path}: no Pascal VOC .xml in this folder")
    return boxes_frame((row for file in files for row in _rows(file)), path)


def _rows(path: Path) -> Iterator[Row]:
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise InputError(f"{path}: not readable XML ({error})") from None
    width, height = (_number(root, f"size/{side}", path) for side in ("width", "height"))
    if width <= 0 or height <= 0:
        raise InputError(f"{path}: size is {width:g} x {height:g}; VOC boxes need the image's size")
    for box in root.iter("object"):
        name = (box.findtext("name") or "").strip()
        if not name:
            raise InputError(f"{path}: an object has no name")
        xmin, ymin, xmax, ymax = (_number(box, f"bndbox/{corner}", path) for corner in CORNERS)
        yield path.stem, name, xmin / width, ymin / height, xmax / width, ymax / height


def _number(element: ElementTree.Element, tag: str, path: Path) -> float:
    text = element.findtext(tag)
    try:
        return float(text or "")
    except ValueError:
        raise InputError(f"{path}: {tag} is {text!r}; it must be a number") from None
