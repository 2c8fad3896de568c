"""Regions without annotations and without a network, from the outline of the hand.

After Zulkifley et al. (Diagnostics 2021;11:765) and their followers: CLAHE, a threshold, the largest contour,
rotation by the angle between its centroid and the top of the middle finger, convex hull and convexity defects. The
defects are the valleys between the fingers; they give the middle finger and the thumb. The largest circle in the
palm gives the scale: carpal block and the joint above the wrist lie so many of its radii below its middle.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from boneage_roi.onnx_session import Execution
from boneage_roi.values import Box, HandFrame, RegionBox

BELOW = {"carpal": (0.63, 0.80, 0.58), "radius-ulna": (1.18, 0.73, 0.54)}
"""Middle below the palm's, half width and half height of a box, in radii of the palm's circle: medians of the
detector's boxes in sixty RSNA hands."""

VALLEY = 0.35
"""A convexity defect shallower than this many radii is no valley between fingers."""

FINGER = (0.30, 0.45)
"""How much wider than its two valleys the box of a finger is, and how far it goes on below them, as shares of its
length."""

THUMB = 0.1
"""The thumb's box ends so many radii below its valley or the palm's middle, whichever is lower."""

LOWER = 0.15
"""The thumb's valley lies so many radii lower than those between the fingers; otherwise it is not among them."""

CERTAIN, SUPPOSED = 0.9, 0.5
"""Confidence of a box that rests on valleys or on the palm, and of one that rests on a guess."""

Points = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Outline:
    """The outline of a hand turned upright, in pixels of the turned frame.

    Attributes:
        turn: the affine map (2, 3) that turned it.
        contour: (N, 2).
        tip: the top of the middle finger.
        palm, radius: middle and radius of the largest circle inside, not farther up than the valleys.
        valleys: (V, 2), from left to right.
    """

    turn: Points
    contour: Points
    tip: Points
    palm: Points
    radius: float
    valleys: Points


class Contour:
    """``Contour(regions)(frame)`` gives the boxes that the outline of the hand tells.

    It can look for ``radius-ulna``, ``carpal`` and ``phalanx``, of which it finds the middle finger and the thumb.

    Args:
        threshold: take the hand from its background by Otsu's threshold; otherwise all that is not black is hand, as
        it is
            after the step ``mask``.
    """

    def __init__(self, regions: Sequence[str], *, threshold: bool = True) -> None:
        self.regions = tuple(regions)
        self._threshold = threshold

    def __call__(self, frame: HandFrame) -> list[RegionBox]:
        outline = find_outline(frame.pixels, threshold=self._threshold)
        if outline is None:
            return []
        boxes = [*_below_the_palm(outline), *_fingers(outline)]
        height, width = frame.pixels.shape
        found = []
        for region, corners, confidence in boxes:
            left, top, right, bottom = _turned_back(corners, outline.turn, (height, width))
            if region in self.regions and right - left > 4 and bottom - top > 4:
                found.append(RegionBox(region, (left, top, right, bottom), confidence))
        return found


def open_contour(network: Path | None, regions: Sequence[str], execution: Execution) -> Contour:
    """The finder ``contour``."""
    return Contour(regions)


def open_masked(network: Path | None, regions: Sequence[str], execution: Execution) -> Contour:
    """The finder ``contour-masked``."""
    return Contour(regions, threshold=False)


def find_outline(pixels: NDArray[np.uint8], *, threshold: bool = True) -> Outline | None:
    """The outline of the hand in a frame uint8 (H, W); None when there is nothing of a hand's size."""
    height, width = pixels.shape
    even = np.asarray(cv2.createCLAHE(2.0, (8, 8)).apply(cv2.GaussianBlur(pixels, (5, 5), 0)), np.uint8)
    seen = pixels > 0
    hand = (seen & (even >= _level(even[seen])) if threshold else seen).astype(np.uint8)
    closed = cv2.morphologyEx(hand, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8))
    opened = cv2.morphologyEx(closed, cv2.MORPH_OPEN, np.ones((9, 9), np.uint8))
    contour = _largest(np.asarray(opened, np.uint8))
    if contour is None or cv2.contourArea(contour) < 0.05 * height * width:
        return None
    turn, top = _upright(contour)
    turned = np.rint(cv2.transform(contour.astype(np.float32), turn)).astype(np.int32)
    low = turned.reshape(-1, 2).min(axis=0)
    turn[:, 2] -= low
    turned -= low
    right, bottom = (int(side) + 1 for side in turned.reshape(-1, 2).max(axis=0))
    filled = np.zeros((bottom, right), np.uint8)
    cv2.fillPoly(filled, [turned], 1)
    tip = turn[:, :2] @ top + turn[:, 2]
    inside = cv2.distanceTransform(cv2.copyMakeBorder(filled, 1, 1, 1, 1, cv2.BORDER_CONSTANT), cv2.DIST_L2, 5)
    inside[: int(0.25 * bottom)] = 0  # fingers that touch are no palm
    inside[int(0.80 * bottom) :] = 0  # nor is the forearm
    row, column = np.unravel_index(int(inside.argmax()), inside.shape)
    radius = float(inside[row, column])
    palm = np.array([column - 1, row - 1], float)
    return Outline(turn, turned.reshape(-1, 2).astype(float), tip, palm, radius, _valleys(turned, palm, radius))


def _level(greys: NDArray[np.uint8]) -> float:
    """The grey from which on there is hand: Otsu's threshold splits bone from the rest, and the rest again."""
    dim = greys
    for _ in range(2):
        if len(dim) == 0:
            return 1.0
        level = float(cv2.threshold(dim, 0, 255, cv2.THRESH_OTSU)[0])
        dim = dim[dim <= level]
    return level + 1


def _largest(hand: NDArray[np.uint8]) -> NDArray[np.int32] | None:
    contours, _ = cv2.findContours(hand, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(max(contours, key=cv2.contourArea), np.int32) if contours else None


def _upright(contour: NDArray[np.int32]) -> tuple[Points, Points]:
    """The turn (2, 3) about the centroid that puts the top of the middle finger straight above it, and this top."""
    moments = cv2.moments(contour)
    centroid = np.array([moments["m10"], moments["m01"]]) / max(moments["m00"], 1.0)
    points = contour.reshape(-1, 2)
    top = points[points[:, 1].argmin()]
    angle = float(np.degrees(np.arctan2(top[0] - centroid[0], centroid[1] - top[1])))
    return np.asarray(cv2.getRotationMatrix2D(centroid.tolist(), angle, 1.0), np.float64), top.astype(np.float64)


def _valleys(contour: NDArray[np.int32], palm: Points, radius: float) -> Points:
    """The deep places between the fingers above the middle of the palm, from left to right; four at the most."""
    try:
        defects = cv2.convexityDefects(contour, cv2.convexHull(contour, returnPoints=False))
    except cv2.error:  # an outline that crosses itself
        defects = None
    if defects is None:
        return np.zeros((0, 2))
    rows = defects.reshape(-1, 4)
    points = contour.reshape(-1, 2)[rows[:, 2]].astype(float)
    deep = (rows[:, 3] / 256 > VALLEY * radius) & (points[:, 1] < palm[1] + 0.5 * radius)
    order = np.argsort(-rows[deep, 3])[:4]
    chosen = points[deep][order]
    return np.asarray(chosen[np.argsort(chosen[:, 0])])


def _below_the_palm(outline: Outline) -> list[tuple[str, Points, float]]:
    found = []
    for region, (below, half_width, half_height) in BELOW.items():
        middle = outline.palm + np.array([0, below * outline.radius])
        row = outline.contour[np.abs(outline.contour[:, 1] - middle[1]) < 3]
        if len(row) > 1:  # the arm's middle, which need not lie under that of the palm
            middle[0] = (row[:, 0].min() + row[:, 0].max()) / 2
        half = outline.radius * np.array([half_width, half_height])
        found.append((region, np.concatenate([middle - half, middle + half]), CERTAIN))
    return found


def _fingers(outline: Outline) -> list[tuple[str, Points, float]]:
    """The boxes of the middle finger, and of the thumb where its valley is seen."""
    valleys, tip, radius = outline.valleys, outline.tip, outline.radius
    left, right = valleys[valleys[:, 0] < tip[0]], valleys[valleys[:, 0] > tip[0]]
    sure = len(left) > 0 and len(right) > 0
    ends = [
        left[-1] if len(left) else tip + radius * np.array([-0.35, 1.8]),
        right[0] if len(right) else tip + radius * np.array([0.35, 1.8]),
    ]
    foot = max(float(ends[0][1]), float(ends[1][1]))
    length = max(foot - float(tip[1]), 1.0)
    aside = FINGER[0] / 2 * length
    xs = [float(ends[0][0]), float(ends[1][0]), float(tip[0])]
    box = np.array([min(xs) - aside / 2, tip[1], max(xs) + aside / 2, foot + FINGER[1] * length])
    found = [("phalanx", box, CERTAIN if sure else SUPPOSED)]
    thumb = _thumb(outline)
    return found if thumb is None else [*found, ("phalanx", thumb, CERTAIN)]


def _thumb(outline: Outline) -> Points | None:
    """The thumb's box: what the outline goes around from the lowest of the outer valleys down to the palm's middle."""
    valleys, radius, points = outline.valleys, outline.radius, outline.contour
    if len(valleys) < 2:
        return None
    valley = max((valleys[0], valleys[-1]), key=lambda point: float(point[1]))
    if valley[1] - np.median(valleys[:, 1]) < LOWER * radius:
        return None
    start = int(np.abs(points - valley).sum(axis=1).argmin())
    end = max(float(valley[1]), float(outline.palm[1])) + THUMB * radius
    walks = []
    for way in (1, -1):
        walk = np.roll(points, -start, axis=0)[::way]
        below = np.flatnonzero(walk[8:, 1] > end)
        if len(below):
            walks.append(walk[: 8 + int(below[0])])
    if not walks:
        return None
    shortest = min(walks, key=len)  # the other one goes around all fingers
    (left, top), (right, bottom) = shortest.min(axis=0), shortest.max(axis=0)
    return np.array([left, top, right, bottom])


def _turned_back(box: Points, turn: Points, size: tuple[int, int]) -> Box:
    """A box of the turned frame in the frame: its middle turned back, its sides kept, clipped to the frame."""
    middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
    inverse = cv2.invertAffineTransform(turn)
    place = inverse[:, :2] @ middle + inverse[:, 2]
    low, high = np.maximum(place - half, 0), np.minimum(place + half, [size[1], size[0]])
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])
