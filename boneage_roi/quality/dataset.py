"""What the gate learns to refuse: images that are no whole hand, made from radiographs of hands and from nothing, hands
in noise or in a coarse JPEG, and hands whose contrast was enhanced."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.random import Generator

from boneage_roi.datasets.augmentation import through_jpeg
from boneage_roi.imaging.intensity import stretch
from boneage_roi.values import FloatImage, HandMask, Radiograph

Maker = Callable[[Radiograph, HandMask, Generator], FloatImage]

SPOILED = ("compressed", "noisy")
"""The kinds of spoiled hands."""

ENHANCED = ("locally enhanced", "equalised")
"""The kinds of hands whose contrast was changed when they were exported."""

CLIPS = (1.0, 12.0)
"""Clip limits of CLAHE, from hardly to badly."""

MOST_NOISE = 12.0
"""Standard deviation, greys of 255."""

JPEG_QUALITIES = (10, 90)

SMALLEST_PART = 48
"""Pieces of a hand with a shorter side than this, in pixels, are not worth enlarging."""


def not_a_hand(number: int, radiograph: Radiograph, mask: HandMask, random: Generator) -> tuple[str, Radiograph]:
    """An image made from a hand's, of each kind in turn as ``number`` rises, and the kind's name."""
    name = list(MAKERS)[number % len(MAKERS)]
    return name, Radiograph(np.ascontiguousarray(MAKERS[name](radiograph, mask, random), np.float32))


def spoiled(number: int, radiograph: Radiograph, random: Generator) -> tuple[str, Radiograph]:
    """A radiograph in noise or, every other ``number``, as a JPEG, from hardly to badly; and which of the two it is."""
    kind, greys = SPOILED[number % 2], np.asarray(radiograph.pixels * 255, np.uint8)
    if kind == "noisy":
        noise = random.normal(0, random.uniform(0, MOST_NOISE), greys.shape)
        changed = np.asarray((greys + noise).clip(0, 255), np.uint8)
    else:
        changed = through_jpeg(greys, int(random.integers(*JPEG_QUALITIES)))
    return kind, Radiograph(stretch(changed))


def enhanced(number: int, radiograph: Radiograph, random: Generator) -> tuple[str, Radiograph]:
    """A radiograph after CLAHE (with 8 x 8 tiles) or, every other ``number``, equalised; and which of the two it is."""
    kind, greys = ENHANCED[number % 2], np.asarray(radiograph.pixels * 255, np.uint8)
    if kind == "equalised":
        return kind, Radiograph(stretch(cv2.equalizeHist(greys)))
    clip = float(np.exp(random.uniform(*np.log(CLIPS))))
    return kind, Radiograph(stretch(cv2.createCLAHE(clip, (8, 8)).apply(greys)))


def side_by_side(left: Radiograph, right: Radiograph) -> Radiograph:
    """Two radiographs in one image of the left one's height."""
    height = left.pixels.shape[0]
    width = round(right.pixels.shape[1] * height / right.pixels.shape[0])
    return Radiograph(np.hstack([left.pixels, cv2.resize(right.pixels, (width, height))]).astype(np.float32))


def _piece(along: float, reach: float) -> Maker:
    """A square of the radiograph, its middle so far up the hand's axis from the wrist, in wrist-to-MCP distances."""

    def make(radiograph: Radiograph, mask: HandMask, random: Generator) -> FloatImage:
        axis = np.subtract(mask.middle_mcp, mask.wrist)
        half = max(float(np.hypot(*axis)), 1.0) * reach
        x, y = mask.wrist + axis * along + random.normal(0, 0.2 * half, 2)
        top, left = (max(round(value - half), 0) for value in (y, x))
        part = radiograph.pixels[top : round(y + half), left : round(x + half)]
        if min(part.shape) < SMALLEST_PART or np.ptp(part) == 0:
            return _noise(radiograph, mask, random)
        factor = max(256 / max(part.shape), 1.0)
        return stretch(cv2.resize(part, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC))

    return make


def _shuffled(radiograph: Radiograph, _: HandMask, random: Generator) -> FloatImage:
    """The radiograph's tiles in another order."""
    tiles = int(random.integers(3, 7))
    rows = np.array_split(radiograph.pixels, tiles)
    order = random.permuted(np.tile(np.arange(tiles), (tiles, 1)), axis=1)
    mixed = np.vstack(
        [np.hstack([np.array_split(row, tiles, 1)[i] for i in places]) for row, places in zip(rows, order, strict=True)]
    )
    return np.asarray(np.roll(mixed, int(random.integers(len(mixed))), axis=0), np.float32)


def _without_the_hand(radiograph: Radiograph, mask: HandMask, random: Generator) -> FloatImage:
    """What lies around the hand, continued over it."""
    small = np.asarray(cv2.resize(radiograph.pixels, (256, 320)) * 255, np.uint8)
    hand = cv2.dilate(cv2.resize(mask.pixels.astype(np.uint8), (256, 320)), np.ones((9, 9)))
    empty = cv2.inpaint(small, hand, 3, cv2.INPAINT_TELEA)
    return stretch(empty + random.normal(0, 1, empty.shape))


def _noise(radiograph: Radiograph, _: HandMask, random: Generator) -> FloatImage:
    """Noise, fine to coarse."""
    grey = random.normal(0, 1, radiograph.pixels.shape).astype(np.float32)
    return stretch(cv2.GaussianBlur(grey, (0, 0), float(np.exp(random.uniform(-2, 3.5)))))


def _text(radiograph: Radiograph, _: HandMask, random: Generator) -> FloatImage:
    """Lines of letters, white or black."""
    page = np.zeros((512, 416), np.uint8)
    for row in range(40, 500, int(random.integers(30, 120))):
        letters = "".join(random.choice(list("ABCDEFGHKLMRSTUaeinorst 0123456789"), 18))
        size, thickness = random.uniform(0.6, 3), int(random.integers(1, 6))
        cv2.putText(page, letters, (10, row), cv2.FONT_HERSHEY_SIMPLEX, size, 255, thickness)
    grey = (page / 255).astype(np.float32)
    return grey if random.random() < 0.5 else 1 - grey


def _shapes(radiograph: Radiograph, _: HandMask, random: Generator) -> FloatImage:
    """Discs, bars and boxes."""
    page = np.zeros((512, 416), np.float32)
    for _i in range(int(random.integers(1, 12))):
        first, second = random.integers(0, 512, (2, 2)).tolist()
        grey, thick = random.uniform(0.3, 1), int(random.integers(2, 60))
        draw = random.integers(3)
        if draw == 0:
            cv2.circle(page, first, 2 * thick, grey, -1)
        elif draw == 1:
            cv2.rectangle(page, first, second, grey, -1)
        else:
            cv2.line(page, first, second, grey, thick)
    return stretch(cv2.GaussianBlur(page, (0, 0), random.uniform(0.5, 8)) + random.normal(0, 0.02, page.shape))


MAKERS: dict[str, Maker] = {
    "finger": _piece(1.9, 0.45),
    "fingertips": _piece(2.2, 0.6),
    "knuckles": _piece(1.0, 0.5),
    "wrist": _piece(0.1, 0.5),
    "forearm": _piece(-0.9, 0.6),
    "shuffled": _shuffled,
    "no hand": _without_the_hand,
    "noise": _noise,
    "text": _text,
    "shapes": _shapes,
}
