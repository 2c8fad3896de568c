"""Finding the hand in a radiograph with the exported segmenter."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from boneage_roi.onnx_session import open_session
from boneage_roi.segmentation.letterbox import letterbox, letterbox_map
from boneage_roi.values import BoolImage, FloatImage, HandMask, Point, Radiograph


class Segmenter:
    """The exported U-Net: ``Segmenter(path)(radiograph)`` gives the hand mask and its two landmarks."""

    def __init__(self, path: Path) -> None:
        self._session = open_session(path)
        self._size = int(self._session.get_inputs()[0].shape[-1])

    def __call__(self, radiograph: Radiograph) -> HandMask:
        square = letterbox(radiograph.pixels, self._size)
        maps = self._session.run(None, {"image": square[None, None]})[0][0]
        return hand_mask(maps, radiograph.pixels.shape)


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
    return HandMask(
        pixels=_largest_filled(probability > 0.5),
        wrist=_unscale(wrist, scale, offset),
        middle_mcp=_unscale(middle_mcp, scale, offset),
        confidence=min(wrist_confidence, mcp_confidence),
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


def _largest_filled(mask: BoolImage) -> BoolImage:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    if count < 2:
        return mask
    largest = (labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())).astype(np.uint8)
    outlines, _ = cv2.findContours(largest, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(cv2.drawContours(largest, outlines, -1, 1, cv2.FILLED), bool)
