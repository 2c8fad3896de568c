"""Finding the hand in a radiograph with the exported segmenter."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from boneage_roi.onnx_session import ON_CPU, Execution, Network
from boneage_roi.segmentation.letterbox import letterbox, letterbox_map
from boneage_roi.values import BoolImage, FloatImage, HandMask, Point, Radiograph

CLOSE_ENOUGH = 0.7
"""A hand that with its surroundings takes less of the image than this is looked at again from nearer."""

SURROUNDINGS = 0.25
"""What is kept around it then, as a share of its longer side."""


class Segmenter:
    """The exported U-Net: ``Segmenter(path)(radiograph)`` gives the hand mask and its two landmarks.

    A hand that is small in its image is segmented a second time, cut out: the network sees all at one low resolution.
    """

    def __init__(self, path: Path, execution: Execution = ON_CPU) -> None:
        self._network = Network(path, "the segmenter", execution)
        self._size = self._network.side

    def __call__(self, radiograph: Radiograph) -> HandMask:
        mask = self._segment(radiograph.pixels)
        top, left, bottom, right = _surroundings(mask.pixels)
        if max(bottom - top, right - left) > CLOSE_ENOUGH * max(mask.pixels.shape):
            return mask
        near = self._segment(radiograph.pixels[top:bottom, left:right])
        pixels = np.zeros_like(mask.pixels)
        pixels[top:bottom, left:right] = near.pixels
        wrist, middle_mcp = ((x + left, y + top) for x, y in (near.wrist, near.middle_mcp))
        return replace(near, pixels=pixels, wrist=wrist, middle_mcp=middle_mcp, second_part=mask.second_part)

    def _segment(self, pixels: FloatImage) -> HandMask:
        square = letterbox(pixels, self._size)
        (maps,) = self._network({"image": square[None, None]}, [(1, 3, self._size, self._size)])
        return hand_mask(maps[0], pixels.shape)


def hand_mask(maps: FloatImage, shape: tuple[int, ...]) -> HandMask:
    """Turn the network's maps (3, S, S) into a mask and landmarks of a radiograph of ``shape`` (H, W).

    The largest connected part is the hand; holes in it are filled.
    """
    height, width = shape
    to_square = letterbox_map(height, width, maps.shape[-1])
    probability = cv2.warpAffine(maps[0], to_square, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    wrist, wrist_confidence = _landmark(maps[1])
    middle_mcp, mcp_confidence = _landmark(maps[2])
    scale, offset = to_square[0, 0], to_square[:, 2]
    pixels, second = _largest_filled(probability > 0.5)
    return HandMask(
        pixels=pixels,
        wrist=_unscale(wrist, scale, offset),
        middle_mcp=_unscale(middle_mcp, scale, offset),
        confidence=min(wrist_confidence, mcp_confidence),
        second_part=second,
    )


def _surroundings(hand: BoolImage) -> tuple[int, int, int, int]:
    """(top, left, bottom, right) of the hand with what lies around it; the whole image without a hand."""
    height, width = hand.shape
    if not hand.any():
        return 0, 0, height, width
    rows, columns = (np.flatnonzero(hand.any(axis)) for axis in (1, 0))
    around = round(SURROUNDINGS * max(np.ptp(rows), np.ptp(columns))) + 1
    return (
        max(int(rows[0]) - around, 0),
        max(int(columns[0]) - around, 0),
        min(int(rows[-1]) + around, height),
        min(int(columns[-1]) + around, width),
    )


def _unscale(point: NDArray[np.float64], scale: float, offset: NDArray[np.float64]) -> Point:
    x, y = (point - offset) / scale
    return float(x), float(y)


def _landmark(heat: FloatImage) -> tuple[NDArray[np.float64], float]:
    """Centre of mass around the peak, and the probability that lies there."""
    size = heat.shape[0]
    row, column = np.unravel_index(int(heat.argmax()), heat.shape)
    reach = max(round(0.05 * size), 2)
    top, left = max(row - reach, 0), max(column - reach, 0)
    window = heat[top : row + reach + 1, left : column + reach + 1].astype(np.float64)
    mass = window.sum()
    rows, columns = np.indices(window.shape)
    point = np.array([left + (window * columns).sum() / mass, top + (window * rows).sum() / mass])
    return point, float(min(mass, 1.0))


def _largest_filled(mask: BoolImage) -> tuple[BoolImage, float]:
    """The largest connected part without its holes, and the area of the next largest as a share of it."""
    grey = mask.astype(np.uint8)
    if len(cv2.findContours(grey, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)[0]) < 2:  # nothing, or one part, no holes
        return mask, 0.0
    count, labels, stats, _ = cv2.connectedComponentsWithStats(grey)
    areas = stats[1:, cv2.CC_STAT_AREA]
    largest = (labels == 1 + int(areas.argmax())).astype(np.uint8)
    outlines, _ = cv2.findContours(largest, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.asarray(cv2.drawContours(largest, outlines, -1, 1, cv2.FILLED), bool)
    second = float(np.sort(areas)[-2] / areas.max()) if count > 2 else 0.0
    return filled, second
