"""Finding the regions in a hand frame with the exported detector."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from boneage_roi.onnx_session import ON_CPU, Execution, Network
from boneage_roi.regions import REGIONS
from boneage_roi.values import Box, HandFrame, RegionBox

CONFIDENCE = 0.25
"""Boxes of digits and growth plates below this are not believed."""

SINGLE_CONFIDENCE = 0.05
"""The same for regions that a hand has once: there the surest box is taken, and little else can be meant by it."""

OVERLAP = 0.5
"""Two boxes of one class that overlap more than this (IoU) show the same region; the surer one stays."""


class Detector:
    """The exported YOLO: ``Detector(path, regions)(frame)`` gives the region boxes, surest first within each region.

    Args:
        regions: what its classes are, in their order.
        execution: where the network runs.
    """

    def __init__(self, path: Path, regions: Sequence[str], execution: Execution = ON_CPU) -> None:
        self._network = Network(path, "the detector", execution)
        self.regions = tuple(regions)
        self._size = self._network.side

    def __call__(self, frame: HandFrame) -> list[RegionBox]:
        square, scale, offset = padded(frame.pixels, self._size)
        batch = np.repeat((square.astype(np.float32) / np.float32(255))[None, None], 3, axis=1)
        (found,) = self._network({self._network.inputs[0]: batch}, [(1, None, 6)])
        rows = found[0]
        rows = rows[rows[:, 4] >= SINGLE_CONFIDENCE]
        height, width = frame.pixels.shape
        corners = (rows[:, :4] - np.tile(offset, 2)) / scale
        corners = np.clip(corners, 0, [width, height, width, height])
        return select_regions(corners, rows[:, 4], rows[:, 5].astype(int), self.regions)


def padded(frame: NDArray[np.uint8], size: int) -> tuple[NDArray[np.uint8], float, NDArray[np.float64]]:
    """A frame in the detector's square, black beside it; with the scale and offset (x, y) that took it there."""
    height, width = frame.shape
    scale = size / max(height, width)
    shape = (round(width * scale), round(height * scale))
    small = cv2.resize(frame, shape, interpolation=cv2.INTER_AREA)
    square = np.zeros((size, size), np.uint8)
    left, top = (size - shape[0]) // 2, (size - shape[1]) // 2
    square[top : top + shape[1], left : left + shape[0]] = small
    return square, scale, np.array([left, top], np.float64)


def select_regions(
    corners: NDArray[np.float64], scores: NDArray[np.float32], classes: NDArray[np.int_], regions: Sequence[str]
) -> list[RegionBox]:
    """The surest boxes of every region, as many as a hand has, without doubles."""
    boxes: list[Box] = [(left, top, right, bottom) for left, top, right, bottom in corners.tolist()]
    selected: list[RegionBox] = []
    for index, region in enumerate(regions):
        kept: list[Box] = []
        least = SINGLE_CONFIDENCE if REGIONS[region].max_crops == 1 else CONFIDENCE
        candidates = np.flatnonzero((classes == index) & (scores >= least))
        for row in candidates[np.argsort(-scores[candidates])]:
            if len(kept) == REGIONS[region].max_crops:
                break
            if all(iou(boxes[row], other) < OVERLAP for other in kept):
                kept.append(boxes[row])
                selected.append(RegionBox(region, boxes[row], float(scores[row])))
    return selected


def iou(box: Box, other: Box) -> float:
    """Intersection over union, in plain numbers: arrays of four take ten times as long."""
    (left, top, right, bottom), (x, y, to_x, to_y) = box, other
    shared = max(min(right, to_x) - max(left, x), 0.0) * max(min(bottom, to_y) - max(top, y), 0.0)
    union = (right - left) * (bottom - top) + (to_x - x) * (to_y - y) - shared
    return shared / union if union > 0 else 0.0
