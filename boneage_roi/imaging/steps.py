"""Steps on the hand frame before its regions are found: each takes greys and the hand, and gives greys."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from boneage_roi.errors import InputError
from boneage_roi.values import HandFrame, HandMask

Greys = NDArray[np.uint8]
Step = Callable[[Greys, Greys], Greys]


def _mask(pixels: Greys, hand: Greys) -> Greys:
    """Black outside the hand."""
    return np.asarray(np.where(hand > 0, pixels, 0), np.uint8)


def _clahe(pixels: Greys, hand: Greys) -> Greys:
    """Contrast-limited adaptive histogram equalisation (Zuiderveld, Graphics Gems IV, 1994)."""
    return np.asarray(cv2.createCLAHE(2.0, (8, 8)).apply(pixels), np.uint8)


def _equalise(pixels: Greys, hand: Greys) -> Greys:
    """An equal share of pixels for every grey."""
    return np.asarray(cv2.equalizeHist(pixels), np.uint8)


def _denoise(pixels: Greys, hand: Greys) -> Greys:
    """A median of 3 x 3 pixels."""
    return np.asarray(cv2.medianBlur(pixels, 3), np.uint8)


def _sharpen(pixels: Greys, hand: Greys) -> Greys:
    """Unsharp masking."""
    return np.asarray(cv2.addWeighted(pixels, 1.5, cv2.GaussianBlur(pixels, (0, 0), 2), -0.5, 0), np.uint8)


STEPS: dict[str, Step] = {
    "mask": _mask,
    "clahe": _clahe,
    "equalise": _equalise,
    "denoise": _denoise,
    "sharpen": _sharpen,
}
"""From a step's name in a preset to what it does: (greys, hand), uint8 (H, W) each, to greys."""


def apply_steps(frame: HandFrame, mask: HandMask, steps: Sequence[str]) -> HandFrame:
    """A frame after some steps, in order.

    Args:
        mask: where the hand is in the radiograph.

    Raises:
        InputError: an unknown step; the message lists the known ones.
    """
    if not steps:
        return frame
    height, width = frame.pixels.shape
    hand = cv2.warpAffine(mask.pixels.astype(np.uint8), frame.to_frame, (width, height), flags=cv2.INTER_NEAREST)
    pixels = frame.pixels
    for name in steps:
        if name not in STEPS:
            raise InputError(f"unknown step {name!r}; known are {', '.join(STEPS)}")
        pixels = STEPS[name](pixels, np.asarray(hand, np.uint8))
    return replace(frame, pixels=pixels)
