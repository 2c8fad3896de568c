"""What the aspect network sees of a hand: bones and outline along the axes of the image, nothing beside them."""

import cv2
import numpy as np
from numpy.typing import NDArray

from boneage_roi.imaging.frame import ends_of_rows, hand_in
from boneage_roi.values import HandFrame, HandMask

FOREARM = 0.5
"""How much forearm is seen below the wrist, as a share of the distance from wrist to middle MCP joint."""

FREE = 0.04
"""Free space beside the hand, as a share of the view's side."""

RIM = 0.03
"""How far around the mask is seen, as a share of the frame's height."""


def quarter_turns(to_frame: NDArray[np.float64]) -> tuple[int, float]:
    """How a frame lies to its image: quarter turns, and the degrees (-45 to 45) that are left."""
    degrees = float(np.rad2deg(np.arctan2(to_frame[1, 0], to_frame[0, 0])))
    quarters = round(degrees / 90)
    return quarters % 4, degrees - 90 * quarters


def aspect_view(frame: HandFrame, mask: HandMask, size: int) -> tuple[NDArray[np.uint8], int]:
    """The hand alone, its image's axes upright, so far turned by quarters that the fingers point up.

    It fills the view. Nothing is left of what lies around the hand: the aspect of the image itself says nothing of the
    hand's.

    Args:
        size: side of the view, pixels.

    Returns:
        uint8 (size, size), and 1 where the view's x axis is the image's x axis, -1 where it is its y axis.
    """
    hand = _visible(frame, mask)
    quarters, degrees = quarter_turns(frame.to_frame)
    turn = np.asarray(cv2.getRotationMatrix2D((0, 0), degrees, 1), np.float64)
    ends = ends_of_rows(hand > 0)
    if len(ends) == 0:
        return np.zeros((size, size), np.uint8), 1
    points = ends @ turn[:, :2].T
    low, high = points.min(axis=0), points.max(axis=0)
    scale = (1 - 2 * FREE) * size / max(float((high - low).max()), 1.0)
    pixels = frame.pixels * hand
    shrink = min(scale, 1.0)
    if shrink < 1:  # area averaging first: a plain warp would alias
        shape = (max(round(pixels.shape[1] * shrink), 1), max(round(pixels.shape[0] * shrink), 1))
        pixels = np.asarray(cv2.resize(pixels, shape, interpolation=cv2.INTER_AREA), np.uint8)
    linear = turn[:, :2] * scale / shrink
    offset = (size - 1) / 2 - scale * (low + high) / 2
    return np.asarray(cv2.warpAffine(pixels, np.column_stack([linear, offset]), (size, size)), np.uint8), (
        -1 if quarters % 2 else 1
    )


def _visible(frame: HandFrame, mask: HandMask) -> NDArray[np.uint8]:
    """1 where the hand is in its frame and a little around it, down to some forearm; 0 elsewhere."""
    hand = hand_in(frame, mask)
    around = 2 * round(RIM * len(hand)) + 1
    wrist, knuckle = (frame.to_frame @ [*point, 1] for point in (mask.wrist, mask.middle_mcp))
    below = max(round(float(wrist[1] + FOREARM * np.hypot(*(wrist - knuckle)))), 0)
    seen = hand[: below + around]  # no further than what grows into the view
    seen[:] = cv2.dilate(seen, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (around, around)))
    hand[below:] = 0
    return np.asarray(hand, np.uint8)
