"""Steps on the hand frame before its regions are found: each takes a frame and the hand, and gives a frame."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from boneage_roi.errors import look_up
from boneage_roi.imaging.frame import hand_in
from boneage_roi.imaging.registration import register
from boneage_roi.values import HandFrame, HandMask

Greys = NDArray[np.uint8]
Step = Callable[[HandFrame, HandMask], HandFrame]


def _on_greys(change: Callable[[Greys, Greys], Greys]) -> Step:
    """A step that leaves everything in its place: (greys, hand), uint8 (H, W) each, to greys."""

    def step(frame: HandFrame, mask: HandMask) -> HandFrame:
        return replace(frame, pixels=change(frame.pixels, hand_in(frame, mask)))

    return step


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


def _mean_grey(pixels: Greys, hand: Greys) -> Greys:
    """The hand's mean grey becomes :data:`MEAN_GREY` in every frame."""
    mean = float(pixels[hand > 0].mean()) if hand.any() else float(pixels.mean())
    return np.asarray((pixels * (MEAN_GREY / max(mean, 1.0))).clip(0, 255), np.uint8)


MEAN_GREY = 127.0

STEPS: dict[str, Step] = {
    "mask": _on_greys(_mask),
    "register": register,
    "mean-grey": _on_greys(_mean_grey),
    "clahe": _on_greys(_clahe),
    "equalise": _on_greys(_equalise),
    "denoise": _on_greys(_denoise),
    "sharpen": _on_greys(_sharpen),
}
"""From a step's name in a preset to what it does: a frame and the hand in its radiograph, to a frame."""


def find_step(name: str) -> Step:
    """The step of a name.

    Raises:
        InputError: there is none; the message lists the known ones.
    """
    return look_up(STEPS, name, "step")


def apply_steps(frame: HandFrame, mask: HandMask, steps: Sequence[str]) -> HandFrame:
    """A frame after some steps, in order.

    Args:
        mask: where the hand is in the radiograph.

    Raises:
        InputError: an unknown step; the message lists the known ones.
    """
    for name in steps:
        frame = find_step(name)(frame, mask)
    return frame
