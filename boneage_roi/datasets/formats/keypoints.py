"""Key points of hands as JSON: by id, the side, the hand's box and 21 points, in 0..1 of the image.

{"1377": {"side": "L", "hand_box": [xmin, ymin, xmax, ymax], "keypoints": [[x, y, visibility], ...]}}
"""

from pathlib import Path
from typing import Any, TypedDict

from boneage_roi.datasets.formats.json_file import numbers, read_json_object
from boneage_roi.errors import InputError

KEYPOINTS = 21
"""0 wrist; 1-4 thumb (CMC, MCP, IP, tip), 5-8 index (MCP, PIP, DIP, tip), 9-12 middle, 13-16 ring, 17-20 little."""


class HandKeypoints(TypedDict):
    """One hand: side "L" or "R" (or None), box (xmin, ymin, xmax, ymax) and 21 points (x, y, visibility 0..2)."""

    side: str | None
    hand_box: list[float] | None
    keypoints: list[list[float]]


def read_keypoints(path: Path) -> dict[str, HandKeypoints]:
    """Read a ``keypoints.json``.

    Raises:
        InputError: not such JSON, or a hand has other than 21 points.
    """
    return {hand: _hand(value, f"{path}: id {hand}") for hand, value in read_json_object(path).items()}


def _hand(value: Any, where: str) -> HandKeypoints:
    points = value.get("keypoints") if isinstance(value, dict) else None
    if not isinstance(points, list) or len(points) != KEYPOINTS:
        raise InputError(f"{where}: `keypoints` must be {KEYPOINTS} points of [x, y, visibility]")
    side, box = value.get("side"), value.get("hand_box")
    if side not in ("L", "R", None):
        raise InputError(f"{where}: side is {side!r}; write L or R")
    return {
        "side": side,
        "hand_box": None if box is None else numbers(box, 4, f"{where}: hand_box"),
        "keypoints": [numbers(point, 3, f"{where}: key point {index}") for index, point in enumerate(points)],
    }
