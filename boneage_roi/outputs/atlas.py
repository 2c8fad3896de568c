"""The child's hand between the two standards of the atlas that are nearest to its bone age."""

from collections.abc import Sequence

import cv2
import numpy as np

from boneage_roi.explain.places import hand_in_frame
from boneage_roi.growth.atlas import Standard
from boneage_roi.outputs.overlay import Image
from boneage_roi.values import Analysis

EMPTY = 24
"""What is darker, 0..255, lies beside the hand."""

RIM = 12
"""Pixels that are kept beside a hand."""


def draw_neighbours(analysis: Analysis, standards: tuple[Standard, Standard]) -> tuple[Image, bool]:
    """The first standard, the hand of an analysis, the second standard, side by side at one scale.

    All are upright in the hand frame. A hand whose thumb lies on the other side than in the atlas is mirrored.

    Returns:
        uint8 (H, W, 3) BGR, with H of the hand frame; and whether the hand is mirrored.
    """
    hand, mirrored = upright_hand(analysis)
    first, second = (_as_high(standard.pixels, hand.shape[0]) for standard in standards)
    tiles = [_narrow(tile) for tile in (first, hand, second)]
    return np.repeat(np.hstack(tiles)[..., None], 3, axis=2), mirrored


def upright_hand(analysis: Analysis) -> tuple[Image, bool]:
    """The hand in its frame (H, W), on black, and whether it is mirrored to have its thumb on the atlas's side."""
    hand = np.where(hand_in_frame(analysis), analysis.frame.pixels, 0).astype(np.uint8)
    mirrored = thumb_is_left(analysis)
    return np.ascontiguousarray(hand[:, ::-1]) if mirrored else hand, mirrored


def thumb_is_left(analysis: Analysis) -> bool:
    """Whether the thumb lies left of the little finger; False where their boxes have no names.

    In the atlas it lies right.
    """
    thumb, little = (_middle(analysis, digit) for digit in (1, 5))
    return thumb is not None and little is not None and thumb < little


def _middle(analysis: Analysis, digit: int) -> float | None:
    names: Sequence[str] = (f"digit{digit}", f"MCP{digit}")
    found = [(box.box[0] + box.box[2]) / 2 for box in analysis.boxes if box.name in names]
    return float(np.mean(found)) if found else None


def _as_high(pixels: Image, height: int) -> Image:
    if pixels.shape[0] == height:
        return pixels
    width = round(pixels.shape[1] * height / pixels.shape[0])
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _narrow(pixels: Image) -> Image:
    """Without the empty columns on the left and on the right."""
    columns = np.flatnonzero((pixels > EMPTY).any(axis=0))
    if not len(columns):
        return pixels
    return pixels[:, max(columns[0] - RIM, 0) : columns[-1] + RIM]
