"""Regions without annotations, from what a whole-hand classifier of ages attends to.

After Chen et al. (IEEE J Biomed Health Inform 2021, arXiv:2006.00202): the class activation maps of a classifier
give the hand, then its most telling place, then, with that one hidden, the next. There these are the carpal bones
and the metacarpals, and a classifier is trained for each; here one network sees all three.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from boneage_roi.onnx_session import ON_CPU, Execution, Network
from boneage_roi.values import Box, FloatArray, HandFrame, RegionBox

REGIONS_FOUND = ("carpal", "metacarpal")
"""What it can look for: the most telling place, and the next."""

HAND = 0.15
"""The hand is where the activation is above this share of its highest."""

SIDES = {"carpal": (0.42, 0.30), "metacarpal": (0.60, 0.42)}
"""Width and height of each place as shares of the hand's own width and height."""


class Attention:
    """``Attention(path, regions)(frame)`` gives the boxes of the most telling places.

    Args:
        path: a network that gives the activation (1, h, w) of the most probable age for an image (1, 1, H, W) in 0..1.
        execution: how it runs.
    """

    def __init__(self, path: Path, regions: Sequence[str], execution: Execution = ON_CPU) -> None:
        self._network = Network(path, "the attention network", execution)
        self.regions = tuple(regions)
        self._size = self._network.input_size

    def __call__(self, frame: HandFrame) -> list[RegionBox]:
        whole, _ = self.activation(frame.pixels)
        hand = hand_box(whole)
        pixels = frame.pixels.copy()
        found = []
        for region in REGIONS_FOUND:
            seen = cut(pixels, hand)
            activation, peak = self.activation(seen)
            box = telling_place(activation, hand, SIDES[region])
            if region in self.regions:
                found.append(RegionBox(region, box, float(np.clip(peak, 0.05, 1.0))))
            hide(pixels, box)
        return found

    def activation(self, pixels: NDArray[np.uint8]) -> tuple[FloatArray, float]:
        """The activation of greys uint8 (H, W), float32 of the same size, and the probability of the age it speaks
        for."""
        height, width = self._size
        small = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / np.float32(255)
        probability, maps = self._network(
            {"image": small[None, None]}, [(1,), (1, None, None)], ["probability", "activation"]
        )
        return cv2.resize(maps[0], pixels.shape[::-1], interpolation=cv2.INTER_LINEAR), float(probability[0])


def cut(pixels: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    """The part of greys (H, W) that lies in a box."""
    left, top, right, bottom = (round(value) for value in box)
    return pixels[top:bottom, left:right]


def hide(pixels: NDArray[np.uint8], box: Box) -> None:
    """Make a box of greys (H, W) as grey as they are on average, in place."""
    left, top, right, bottom = (round(value) for value in box)
    pixels[top:bottom, left:right] = round(float(pixels.mean()))


def hand_box(activation: FloatArray) -> Box:
    """The box around all that is active in a map (H, W), at least half of it on each side."""
    height, width = activation.shape
    rows, columns = np.nonzero(activation > HAND * max(float(activation.max()), 1e-9))
    if len(rows) == 0:
        return (0.0, 0.0, float(width), float(height))
    ends = []
    for values, side in ((columns, width), (rows, height)):
        low, high = int(values.min()), int(values.max()) + 1
        lacking = max(side // 2 - (high - low), 0)
        ends.append((max(low - lacking, 0), min(high + lacking, side)))
    (left, right), (top, bottom) = ends
    return (float(left), float(top), float(right), float(bottom))


def telling_place(activation: FloatArray, within: Box, sides: tuple[float, float]) -> Box:
    """The box of the given share of ``within`` that holds most activation.

    Args:
        activation: (H, W) of what lies in ``within``.
        sides: width and height of the box as shares of those of ``within``.
    """
    left, top, _, _ = within
    height, width = activation.shape
    window = (max(round(sides[0] * width), 1), max(round(sides[1] * height), 1))
    sums = cv2.boxFilter(activation, -1, window, normalize=False, borderType=cv2.BORDER_CONSTANT)
    row, column = np.unravel_index(int(sums.argmax()), sums.shape)
    x = float(np.clip(column - window[0] / 2, 0, width - window[0]))
    y = float(np.clip(row - window[1] / 2, 0, height - window[1]))
    return (left + x, top + y, left + x + window[0], top + y + window[1])
