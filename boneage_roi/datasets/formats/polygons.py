"""Outlines: JSON of polygons by id, a polygon a list of [x, y] in 0..1 of the image; or LabelMe files."""

from pathlib import Path
from typing import Any

from boneage_roi.datasets.formats.json_file import numbers, read_json_object
from boneage_roi.errors import InputError

Polygon = list[list[float]]


def read_polygons(path: Path) -> dict[str, list[Polygon]]:
    """Read outline polygons.

    Args:
        path: a JSON of polygons by id, one LabelMe JSON, or a folder of LabelMe JSONs (their file names are the ids).

    Returns:
        Polygons by id, each three or more [x, y] in 0..1 of the image's width and height.

    Raises:
        InputError: no such file, or not polygons.
    """
    if path.is_dir():
        files = sorted(path.glob("*.json"))
        if not files:
            raise InputError(f"{path}: no polygon JSON in this folder")
        return {file.stem: _labelme(read_json_object(file), file) for file in files}
    content = read_json_object(path)
    if "shapes" in content:
        return {path.stem: _labelme(content, path)}
    return {hand: check_polygons(value, f"{path}: id {hand}") for hand, value in content.items()}


def _labelme(content: dict[str, Any], path: Path) -> list[Polygon]:
    try:
        width, height = float(content["imageWidth"]), float(content["imageHeight"])
        outlines = [shape["points"] for shape in content["shapes"] if shape.get("shape_type", "polygon") == "polygon"]
        scaled = [[[x / width, y / height] for x, y in outline] for outline in outlines]
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        raise InputError(f"{path}: not a LabelMe file with imageWidth, imageHeight and shapes of points") from None
    return check_polygons(scaled, str(path))


def check_polygons(value: Any, where: str) -> list[Polygon]:
    """The polygons in a parsed JSON value; ``where`` starts the message.

    Raises:
        InputError: something else, or a point is outside the image.
    """
    if not isinstance(value, list) or not all(isinstance(outline, list) and len(outline) >= 3 for outline in value):
        raise InputError(f"{where}: must be a list of polygons, each three or more [x, y]")
    polygons = [[numbers(point, 2, f"{where}: a point") for point in outline] for outline in value]
    if any(not -0.05 <= coordinate <= 1.05 for outline in polygons for point in outline for coordinate in point):
        raise InputError(f"{where}: a point is outside the image; coordinates are 0..1 of its width and height")
    return polygons
