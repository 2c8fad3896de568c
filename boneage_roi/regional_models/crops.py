"""Cutting a region's crops out of a hand frame."""

from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import cv2
import numpy as np
from numpy.typing import NDArray

from boneage_roi.regions import REGIONS
from boneage_roi.values import FloatArray, HandFrame, RegionBox


@dataclass(frozen=True, eq=False)
class Crops:
    """The crops of one region of one hand.

    Attributes:
        pixels: uint8 (C, h, w).
        places: float32 (C, 4): centre x, centre y, width, height of each crop's box, as shares of the frame.
        confidence: mean confidence of their boxes.
    """

    pixels: NDArray[np.uint8]
    places: FloatArray
    confidence: float


@dataclass(frozen=True)
class View:
    """One look at a hand: mirrored, then each crop magnified by ``scale`` and turned about its middle."""

    mirrored: bool = False
    scale: float = 1.0
    degrees: float = 0.0


AS_IT_IS = View()
MIRRORED = View(mirrored=True)

SIX_VIEWS = tuple(
    View(mirrored, scale, degrees)
    for scale, degrees in ((1.0, 0.0), (0.95, 5.0), (1.05, -5.0))
    for mirrored in (False, True)
)
"""What test-time augmentation looks at by default, the hand as it is first. A hand and its mirror image get the same
views, moved by one pixel of a crop at the most."""


def cut_crops(
    frame: HandFrame,
    boxes: list[RegionBox],
    region: str,
    size: tuple[int, int],
    margin: float,
    context: float = 1.0,
    view: View = AS_IT_IS,
    turns: Sequence[float] | None = None,
) -> Crops | None:
    """The crops of a region, its most confident boxes first to be kept, in the order of their boxes' x.

    Aspect ratio is kept: a box is widened to the crop's aspect, with ``margin`` of its size around it.

    Args:
        size: (height, width) of a crop in pixels.
        context: cut this much more on each axis at the same scale, for augmentation to move in.
        view: how to look at the hand.
        turns: degrees anticlockwise by which each crop is turned about its middle, in the order of the crops.

    Returns:
        None when the region was not found; the hand itself is always there.
    """
    height, width = frame.pixels.shape
    found = crop_boxes(frame, boxes, region)
    if not found:
        return None
    corners = np.array([box.box for box in found])
    centres = (corners[:, :2] + corners[:, 2:]) / 2
    sides = corners[:, 2:] - corners[:, :2]
    pixels = np.stack(
        [
            _cut(frame, centre, side, size, margin, context, view, turn)
            for centre, side, turn in zip(centres, sides, turns or [0.0] * len(found), strict=True)
        ]
    )
    places = np.hstack([centres, sides]) / [width, height, width, height]
    if view.mirrored:
        places[:, 0] = 1 - places[:, 0]
    return Crops(pixels, places.astype(np.float32), float(np.mean([box.confidence for box in found])))


def crop_boxes(frame: HandFrame, boxes: Sequence[RegionBox], region: str) -> list[RegionBox]:
    """The boxes that a region's crops are cut from, in the crops' order; of the whole hand, the frame."""
    if REGIONS[region].whole:
        height, width = frame.pixels.shape
        return [RegionBox(region, (0.0, 0.0, float(width), float(height)), 1.0)]
    found = sorted((box for box in boxes if box.region == region), key=lambda box: -box.confidence)
    return sorted(found[: REGIONS[region].max_crops], key=lambda box: box.box[0])


def _cut(
    frame: HandFrame,
    centre: NDArray[np.float64],
    side: NDArray[np.float64],
    size: tuple[int, int],
    margin: float,
    context: float,
    view: View,
    turn: float,
) -> NDArray[np.uint8]:
    height, width = size
    scale = view.scale * min(width / side[0], height / side[1]) / (1 + 2 * margin)
    out_height, out_width = round(height * context), round(width * context)
    image, shrink = frame.pixels, 1.0
    if scale < 0.6:  # area averaging first: a plain warp would alias
        shrink = scale
        image = _smaller(frame, (round(image.shape[1] * shrink), round(image.shape[0] * shrink)))
    # A mirrored hand that is turned one way is the mirror image of the hand turned the other way.
    degrees = turn + (-view.degrees if view.mirrored else view.degrees)
    middle = shrink * centre
    matrix = np.asarray(cv2.getRotationMatrix2D(middle.tolist(), degrees, scale / shrink), np.float64)
    matrix[:, 2] += np.array([out_width / 2, out_height / 2]) - middle
    cut = np.asarray(cv2.warpAffine(image, matrix, (out_width, out_height)), np.uint8)
    return cut[:, ::-1] if view.mirrored else cut


_SMALLER: WeakKeyDictionary[HandFrame, dict[tuple[int, int], NDArray[np.uint8]]] = WeakKeyDictionary()
_MOST = 16  # hands that are read at the same time


def _smaller(frame: HandFrame, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """A frame shrunk to (width, height), kept while the frame is there: other views and single bones want it again."""
    if len(_SMALLER) > _MOST:
        _SMALLER.clear()
    known = _SMALLER.setdefault(frame, {})
    if shape not in known:
        known[shape] = np.asarray(cv2.resize(frame.pixels, shape, interpolation=cv2.INTER_AREA), np.uint8)
    return known[shape]
