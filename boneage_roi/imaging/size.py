"""How large an image may be, and giving it the aspect of what it shows."""

import cv2
import numpy as np

from boneage_roi.errors import InputError
from boneage_roi.values import FloatImage

SMALLEST_SIDE = 64
LARGEST_PIXELS = 50_000_000
"""Hand radiographs have up to 25 megapixels; so many still need less than 2 GB of memory."""
LARGEST_DEPTH = 64
"""Bits of a pixel: the deepest grey, or four colours of 16."""


def check_size(width: int, height: int, depth: int = 8) -> None:
    """Refuse what is no radiograph's size, or would take too much memory.

    Args:
        width, height: pixels.
        depth: bits of a pixel, all colours together.

    Raises:
        InputError: a side under 64 px, over 50 megapixels, or over 64 bits a pixel.
    """
    if depth > LARGEST_DEPTH:
        raise InputError(f"{depth} bits a pixel are too many; export it with 8 or 16 bits of grey")
    if min(width, height) < SMALLEST_SIDE:
        raise InputError(f"{width} x {height} px is too small; a side needs at least {SMALLEST_SIDE} px")
    if width * height > LARGEST_PIXELS:
        raise InputError(f"{width} x {height} px is too large; reduce it to {LARGEST_PIXELS // 10**6} megapixels")


def with_aspect(pixels: FloatImage, aspect: float) -> FloatImage:
    """Make one side longer, so that width / height is ``aspect``; within 1 % the pixels stay as they are.

    Raises:
        InputError: the image would become too large.
    """
    height, width = pixels.shape
    if abs(width / height / aspect - 1) <= 0.01:
        return pixels
    size = (width, round(width / aspect)) if width / height > aspect else (round(height * aspect), height)
    check_size(*size)
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR), np.float32)
