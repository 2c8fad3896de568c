"""The hand frame: the hand cut out, turned upright, scaled to a fixed size, its contrast taken from the hand itself."""

import cv2
import numpy as np
from numpy.typing import NDArray

from boneage_roi.values import HandFrame, HandMask, Radiograph

FOREARM = 0.75
"""How much forearm the frame keeps below the wrist, as a share of the distance from wrist to middle MCP joint."""

PADDING = 0.04
"""Free space around the hand, as a share of the frame's side."""

MIDDLE_GREY = 0.55
"""What the median grey of a hand becomes, 0..1: the usual one."""

GAMMAS = (0.4, 3.0)
"""How far the grey curve may be bent for it; hands of the RSNA data need 0.5 to 3."""

REACH = 3.0
"""No fingertip lies farther from the wrist than this many wrist-to-MCP distances; what lies beyond is not hand."""


def hand_frame(radiograph: Radiograph, mask: HandMask, size: tuple[int, int] = (512, 416)) -> HandFrame:
    """Cut the hand out of a radiograph.

    The axis from wrist to middle MCP joint points up. The frame reaches from the fingertips to a little below the
    wrist, so that a long forearm does not shrink the hand; aspect ratio is kept.

    Args:
        size: (height, width) of the frame in pixels.
    """
    to_frame = frame_map(mask, size)
    height, width = size
    scale = magnification(to_frame)
    pixels: NDArray[np.float32] = radiograph.pixels
    if scale < 0.75:  # a plain warp would alias
        pixels = np.asarray(cv2.GaussianBlur(pixels, (0, 0), 0.4 / scale), np.float32)
    cut = np.asarray(cv2.warpAffine(pixels, to_frame, (width, height), flags=cv2.INTER_LINEAR), np.float32)
    hand = cv2.warpAffine(mask.pixels.astype(np.uint8), to_frame, (width, height), flags=cv2.INTER_NEAREST).astype(bool)
    inverted = is_inverted(cut, hand)
    if inverted:
        valid = cv2.warpAffine(np.ones_like(pixels), to_frame, (width, height), flags=cv2.INTER_NEAREST)
        cut = (1 - cut) * valid
    return HandFrame(_hand_contrast(cut, hand), to_frame, inverted)


def hand_in(frame: HandFrame, mask: HandMask) -> NDArray[np.uint8]:
    """Where the hand is in a frame: uint8 (H, W), 0 or 1."""
    height, width = frame.pixels.shape
    hand = cv2.warpAffine(mask.pixels.astype(np.uint8), frame.to_frame, (width, height), flags=cv2.INTER_NEAREST)
    return np.asarray(hand, np.uint8)


def frame_map(mask: HandMask, size: tuple[int, int]) -> NDArray[np.float64]:
    """The affine map (2, 3) from radiograph to frame pixels."""
    height, width = size
    wrist, middle_mcp = np.asarray(mask.wrist), np.asarray(mask.middle_mcp)
    length = float(np.hypot(*(middle_mcp - wrist)))
    # Landmarks on one point tell no direction.
    up, length = ((middle_mcp - wrist) / length, length) if length >= 1 else (np.array([0.0, -1.0]), 1.0)
    upright = np.array([[-up[1], up[0]], [-up[0], -up[1]]])  # rows: frame x and y axes in radiograph pixels
    ends = _ends_of_hand(mask, up * length)
    points = (ends - wrist) @ upright.T / length if len(ends) else np.array([[-0.9, -2.2], [0.9, FOREARM]])
    across, along = points.T
    left, top, right = across.min(), along.min(), across.max()
    bottom = FOREARM
    scale = (1 - 2 * PADDING) * min(height / (bottom - top), width / max(right - left, 1e-3))
    middle = np.array([(left + right) / 2, (top + bottom) / 2])
    linear = upright * scale / length
    offset = np.array([(width - 1) / 2, (height - 1) / 2]) - scale * middle - linear @ wrist
    return np.column_stack([linear, offset])


def _ends_of_hand(mask: HandMask, up: NDArray[np.float64]) -> NDArray[np.int_]:
    """:func:`ends_of_rows` of the mask without what lies too far down, or too far away, to be hand.

    Where both ends of a row are hand, all between them is, as far as this goes: only other rows are looked into.

    Args:
        up: leads from the wrist to the middle MCP joint.
    """

    def is_hand(x: NDArray[np.int_], y: NDArray[np.int_]) -> NDArray[np.bool_]:
        across, down = x - mask.wrist[0], y - mask.wrist[1]
        reach = up @ up
        return np.asarray((across * up[0] + down * up[1] > -FOREARM * reach) & (across**2 + down**2 < REACH**2 * reach))

    ends = ends_of_rows(mask.pixels)
    left, right = np.split(is_hand(*ends.T), 2)
    whole = left & right
    rows = np.split(ends, 2)[0][~whole, 1]
    others = ends_of_rows(mask.pixels[rows] & is_hand(np.arange(mask.pixels.shape[1]), rows[:, None]))
    others[:, 1] = rows[others[:, 1]]
    return np.concatenate([ends[np.tile(whole, 2)], others])


def ends_of_rows(hand: NDArray[np.bool_]) -> NDArray[np.int_]:
    """The first and the last pixel (x, y) of every row that has any: in no direction does another lie further out."""
    rows = np.flatnonzero(hand.any(axis=1))
    ends = hand[rows].argmax(axis=1), hand.shape[1] - 1 - hand[rows, ::-1].argmax(axis=1)
    return np.concatenate([np.column_stack([columns, rows]) for columns in ends])


def magnification(to_frame: NDArray[np.float64]) -> float:
    """How many frame pixels one pixel of the radiograph becomes, a side."""
    return float(np.sqrt(abs(np.linalg.det(to_frame[:, :2]))))


def is_inverted(pixels: NDArray[np.float32], hand: NDArray[np.bool_]) -> bool:
    """Whether a radiograph is dark on bright: then the hand is darker than what lies just around it."""
    reach = max(pixels.shape[0] // 24, 3)
    around = cv2.dilate(hand.astype(np.uint8), np.ones((reach, reach), np.uint8)).astype(bool) & ~hand
    if not hand.any() or not around.any():
        return False
    return bool(np.median(pixels[hand]) < np.median(pixels[around]))


def _hand_contrast(pixels: NDArray[np.float32], hand: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Stretch so that soft tissue is dark and the densest bone bright, and the hand's median grey the same everywhere.

    The gamma makes frames alike that differ by the curve of a detector or of a viewer.
    """
    inside = pixels[hand] if hand.sum() > 100 else pixels.ravel()
    low, high = np.percentile(inside, [1, 99.5])
    low -= 0.15 * (high - low)  # what lies behind the hand stays visible as the outline's darker side
    span = max(high - low, 1e-6)
    middle = np.clip((np.median(inside) - low) / span, 0.01, 0.99)
    gamma = np.float32(np.clip(np.log(MIDDLE_GREY) / np.log(middle), *GAMMAS))
    grey = (pixels - low) / span
    np.clip(grey, 0, 1, out=grey)
    cv2.pow(grey, float(gamma), grey)  # a third of NumPy's time
    np.multiply(grey, 255, out=grey)
    return np.asarray(grey, np.uint8)
