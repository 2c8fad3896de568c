"""Registration by key points: an affine map that takes three points of a hand to where they lie in a mean hand.

Iglovikov et al. (DLMIA 2018) register hands by the tip of the middle finger, the tip of the thumb and the centre of the
capitate, which a network finds. Here the tips are read off the hand's outline, and the wrist stands for the capitate.
"""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from boneage_roi.imaging.frame import hand_in
from boneage_roi.values import HandFrame, HandMask

TEMPLATE = ((0.446, 0.040), (0.852, 0.327), (0.477, 0.701))
"""Middle fingertip, thumb tip and wrist of a hand whose thumb is to the right, x and y as shares of the frame:
medians of sixty RSNA hands."""

MOST = 1.35
"""A map that stretches or shrinks a hand by more than this in any direction rests on wrong points, and is not used."""

Points = NDArray[np.float64]


def register(frame: HandFrame, mask: HandMask) -> HandFrame:
    """A frame in which the hand's key points lie where those of the mean hand do; the same frame where none are
    found."""
    points = key_points(frame, mask)
    if points is None:
        return frame
    height, width = frame.pixels.shape
    template = np.array(TEMPLATE)
    if points[1, 0] < points[2, 0]:  # the thumb is to the left
        template[:, 0] = 1 - template[:, 0]
    wanted = template * [width, height]
    matrix = np.asarray(cv2.getAffineTransform(points.astype(np.float32), wanted.astype(np.float32)), np.float64)
    stretches = np.linalg.svd(matrix[:, :2], compute_uv=False)
    if stretches.max() > MOST or stretches.min() < 1 / MOST or np.linalg.det(matrix[:, :2]) <= 0:
        return frame
    moved = cv2.warpAffine(frame.pixels, matrix, (width, height), flags=cv2.INTER_LINEAR)
    linear = matrix[:, :2] @ frame.to_frame
    linear[:, 2] += matrix[:, 2]
    return replace(frame, pixels=np.asarray(moved, np.uint8), to_frame=linear)


def key_points(frame: HandFrame, mask: HandMask) -> Points | None:
    """Middle fingertip, thumb tip and wrist (3, 2) in frame pixels; None when the outline does not show them.

    The middle fingertip is the hand's highest point near the axis from the wrist to the middle MCP joint. The
    thumb's tip lies farthest from that axis, between the wrist and half a palm above the MCP joints.
    """
    ends = np.array([mask.wrist, mask.middle_mcp])
    wrist, knuckle = ends @ frame.to_frame[:, :2].T + frame.to_frame[:, 2]
    length = float(wrist[1] - knuckle[1])
    if length < 8:
        return None
    hand = hand_in(frame, mask)
    rows, columns = np.nonzero(hand)
    if len(rows) == 0:
        return None
    near = np.abs(columns - knuckle[0]) < 0.4 * length
    beside = (rows < wrist[1] - 0.1 * length) & (rows > knuckle[1] - 0.5 * length)
    if not near.any() or not beside.any():
        return None
    top = np.flatnonzero(near)[rows[near].argmin()]
    sides = np.flatnonzero(beside)
    away = columns[sides] - wrist[0]
    left, right = sides[away.argmin()], sides[away.argmax()]
    # The thumb reaches lower than the little finger at the same distance from the axis.
    thumb = right if abs(columns[right] - wrist[0]) > abs(columns[left] - wrist[0]) else left
    tips = [(columns[row], rows[row]) for row in (top, thumb)]
    return np.array([*tips, tuple(wrist)], np.float64)
