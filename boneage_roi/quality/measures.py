"""What an image is judged by, measured where hand and regions were found."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from boneage_roi.imaging.frame import hand_in, magnification
from boneage_roi.regions import REGIONS
from boneage_roi.values import Analysis, FloatImage, HandFrame, HandMask, RegionReading

OUTLINE = 0.1
"""Width of the hand's outline, in wrist-to-MCP distances."""

JPEG_BLOCK = 8
"""Pixels a side of the blocks that a JPEG is made of."""

ENOUGH = 1024
"""Pixels a side that are enough to measure noise and blocks on."""

FAINTEST = 1e-3
"""What has less contrast than this counts as if it had so much."""

ABOVE_WRIST = 0.1
"""What touches the image's edge this far above the wrist is hand, not forearm; in wrist-to-MCP distances."""

COARSE = 32
"""Pixels of the hand frame, a standard deviation: what is left when the hand is blurred by so much is coarse."""

IMAGE_MEASURES = (
    *("landmarks", "second_hand", "size", "forearm", "edge", "contrast", "clipped", "noise", "blocks"),
    *("coarse", "equalised"),
)
"""Measures of every image, whatever regions are looked for."""


def parts(regions: Sequence[str]) -> tuple[str, ...]:
    """Measures that tell a hand from anything else: how sure its landmarks and its found regions are, 0..1 each."""
    return ("landmarks", *regions)


def measure(analysis: Analysis, regions: Sequence[str]) -> dict[str, float]:
    """Measure where hand and regions were found.

    Args:
        regions: what the finder looks for.

    Returns:
        Each of ``parts(regions)``; where these are looked for, the number of ``digits`` and ``growth_plates``;
        ``second_hand``, the size of the next largest part of the mask, as a share of the hand; ``size``, the distance
        from wrist to middle MCP joint in pixels;
        ``forearm``, how much of the image lies below the wrist, and ``edge``, how much of the hand lies at the image's
        edge, both in such distances; ``contrast`` from soft tissue to bone and ``clipped``, the share of the hand that
        is all black or all white, both 0..1; ``noise``, as a standard deviation, and ``blocks``, the step between those
        of a JPEG, both as shares of the contrast and as strong as they are in the hand frame; ``coarse``, the share of
        the hand's contrast that is coarse, and ``equalised``, how far the histogram is from an equalised one, 0..1.
    """
    mask, boxes = analysis.mask, analysis.boxes
    sure = dict.fromkeys(regions, 0.0)
    for box in boxes:
        sure[box.region] += box.confidence / REGIONS[box.region].max_crops
    low, high = np.percentile(analysis.radiograph.pixels[mask.pixels], [1, 99.5])
    hand, inside = _around(analysis.radiograph.pixels, mask)
    # What is fine averages out when the hand is shrunk to its frame, and grows with it.
    in_frame = magnification(analysis.frame.to_frame) / max(float(high - low), FAINTEST)
    return {
        "landmarks": mask.confidence,
        **{region: float(value) for region, value in sure.items()},
        **{
            name: float(sum(box.region == region for box in boxes))
            for name, region in (("digits", "phalanx"), ("growth_plates", "epiphysis"))
            if region in regions
        },
        "second_hand": mask.second_part,
        "size": _size(mask),
        "forearm": _forearm(mask),
        "edge": _edge(mask),
        "contrast": float(high - low),
        "clipped": _clipped(analysis),
        "noise": in_frame * _noise(hand, inside),
        "blocks": in_frame * min(_block_steps(hand, inside), _block_steps(hand.T, inside.T)),
        "coarse": coarse_contrast(analysis.frame, mask),
        "equalised": off_equalised(analysis.radiograph.pixels),
    }


def coarse_contrast(frame: HandFrame, mask: HandMask) -> float:
    """How much of the standard deviation of a hand's greys is left when it is blurred; 1 for a hand of one grey.

    What enhances contrast piece by piece (CLAHE: Pizer et al., Comput Vision Graph 1987) makes every part of the hand
    as bright as every other.
    """
    shrink = COARSE // 4
    height, width = frame.pixels.shape
    inside = cv2.erode(hand_in(frame, mask), np.ones((9, 9)))
    if not inside.any():
        return 1.0
    spread = float(frame.pixels[inside > 0].std())
    if spread < 1:
        return 1.0
    small = (max(width // shrink, 1), max(height // shrink, 1))
    weight = cv2.resize(inside.astype(np.float32), small, interpolation=cv2.INTER_AREA)
    grey = cv2.resize(frame.pixels.astype(np.float32) * inside, small, interpolation=cv2.INTER_AREA)
    sigma = COARSE / shrink
    around = cv2.GaussianBlur(weight, (0, 0), sigma)
    blurred = cv2.GaussianBlur(grey, (0, 0), sigma) / np.maximum(around, FAINTEST)
    return float(blurred[weight > 0.5].std() / spread) if (weight > 0.5).any() else 1.0


def off_equalised(pixels: FloatImage) -> float:
    """How far a radiograph's histogram is from an equalised one: mean of the differences, 0 where it is one.

    In an equalised image a pixel is as bright as the share of pixels that are not brighter, the darkest left out: they
    are what lies around the hand, or a frame.
    """
    few = pixels[:: max(pixels.shape[0] // ENOUGH, 1), :: max(pixels.shape[1] // ENOUGH, 1)]
    share = np.bincount(np.asarray(few * 255, np.uint8).ravel(), minlength=256) / few.size
    lowest = int(np.flatnonzero(share)[0])
    others = 1 - share[lowest]
    if others < FAINTEST:
        return 1.0
    share[lowest] = 0
    return float((share * np.abs(np.arange(256) / 255 - share.cumsum() / others)).sum() / others)


def disagreement(readings: tuple[RegionReading, ...]) -> float:
    """Standard deviation of the region ages, months."""
    return float(np.std([reading.expected_age for reading in readings]))


def _size(mask: HandMask) -> float:
    return max(float(np.hypot(*np.subtract(mask.middle_mcp, mask.wrist))), 1.0)


def _clipped(analysis: Analysis) -> float:
    """Share of the hand without its outline, where the mask may hold a little of what lies around."""
    outline = max(round(OUTLINE * _size(analysis.mask)), 1)
    inside = cv2.erode(analysis.mask.pixels.astype(np.uint8), np.ones((outline, outline))).astype(bool)
    hand = analysis.radiograph.pixels[inside if inside.any() else analysis.mask.pixels]
    return float(((hand <= 0) | (hand >= 1)).mean())


def _forearm(mask: HandMask) -> float:
    """From the wrist down the hand's axis to the edge of the image."""
    down = np.subtract(mask.wrist, mask.middle_mcp) / _size(mask)
    room = [
        (edge - place) / step
        for place, step, side in zip(mask.wrist, down, reversed(mask.pixels.shape), strict=True)
        if abs(step) > 1e-6
        for edge in (0, side - 1)
        if (edge - place) / step >= 0
    ]
    return float(min(room, default=0.0)) / _size(mask)


def _edge(mask: HandMask) -> float:
    """How long the hand, without the forearm, runs along the edge of the image."""
    height, width = mask.pixels.shape
    x, y = np.arange(width), np.arange(1, height - 1)
    columns = np.concatenate([x, x, np.zeros_like(y), np.full_like(y, width - 1)])
    rows = np.concatenate([np.zeros_like(x), np.full_like(x, height - 1), y, y])
    hand = mask.pixels[rows, columns]
    up = np.subtract(mask.middle_mcp, mask.wrist) / _size(mask)
    above = (np.column_stack([columns, rows])[hand] - mask.wrist) @ up / _size(mask)
    return float((above > ABOVE_WRIST).sum()) / _size(mask)


def _around(pixels: FloatImage, mask: HandMask) -> tuple[FloatImage, NDArray[np.bool_]]:
    """The part of a radiograph that holds the hand, or the middle of a large one, and where in it the hand is."""
    left, top, width, height = cv2.boundingRect(mask.pixels.astype(np.uint8))
    rows, columns = (
        slice(first + max(length - ENOUGH, 0) // 2, first + min(length, (length + ENOUGH) // 2))
        for first, length in ((top, height), (left, width))
    )
    return pixels[rows, columns], mask.pixels[rows, columns]


def _noise(pixels: FloatImage, hand: NDArray[np.bool_]) -> float:
    """Standard deviation of the noise in a hand (Immerkaer, Computer Vision and Image Understanding 1996)."""
    second = np.array([1, -2, 1], np.float32)
    curved = cv2.sepFilter2D(pixels, cv2.CV_32F, second, second, borderType=cv2.BORDER_REFLECT)
    return float(np.sqrt(np.pi / 2) / 6 * np.abs(curved[hand]).mean())


def _block_steps(pixels: FloatImage, hand: NDArray[np.bool_]) -> float:
    """How much more a hand's greys change from column to column at every eighth, wherever those lie, than at others.

    Against the strongest of the others: between few pixels one place of eight is always a little above the middle.
    """
    both = hand[:, 1:] & hand[:, :-1]
    change = (np.abs(np.diff(pixels, axis=1)) * both).sum(0)
    phase = np.arange(len(change)) % JPEG_BLOCK
    total, count = (np.bincount(phase, values, JPEG_BLOCK) for values in (change, both.sum(0)))
    *_, second, most = np.sort(total / np.maximum(count, 1))
    return float(most - second)
