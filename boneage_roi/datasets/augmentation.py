"""Random changes of pose and of grey values that every stage trains with."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from boneage_roi.values import FloatImage


def random_similarity(
    random: Generator,
    centre: tuple[float, float],
    *,
    degrees: float,
    scale: tuple[float, float],
    shift: float,
    flip: bool,
) -> np.ndarray:
    """A random rotation, scaling, shift and mirroring about ``centre``: an affine map (2, 3) of pixels.

    Args:
        degrees: largest rotation either way.
        scale: smallest and largest magnification.
        shift: largest shift either way, in pixels.
        flip: mirror left to right half of the time.
    """
    angle = np.deg2rad(random.uniform(-degrees, degrees))
    magnification = np.exp(random.uniform(*np.log(scale)))
    rotation = magnification * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    if flip and random.random() < 0.5:
        rotation[:, 0] *= -1
    offset = np.asarray(centre) + random.uniform(-shift, shift, 2) - rotation @ np.asarray(centre)
    return np.column_stack([rotation, offset])


def poor_export(random: Generator) -> Callable[[NDArray[np.uint8]], NDArray[np.uint8]]:
    """What a bad export does to an image, alike to every crop of a hand: fewer pixels, noise, a coarse JPEG."""
    factor, deviation = random.uniform(0.3, 1), random.uniform(0, 16) * (random.random() < 0.6)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(12, 70))] if random.random() < 0.6 else None

    def spoil(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        height, width = image.shape
        small = cv2.resize(
            image, (max(round(width * factor), 8), max(round(height * factor), 8)), interpolation=cv2.INTER_AREA
        )
        if deviation:
            small = (small + random.normal(0, deviation, small.shape)).clip(0, 255).astype(np.uint8)
        if quality:
            small = np.asarray(cv2.imdecode(cv2.imencode(".jpg", small, quality)[1], cv2.IMREAD_GRAYSCALE))
        return np.asarray(cv2.resize(small, (width, height)), np.uint8)

    return spoil


def random_intensity(random: Generator, image: FloatImage, strength: float = 1.0) -> FloatImage:
    """Random gamma, contrast, brightness, blur and noise on a 0..1 image of any shape (H, W)."""
    out = image ** np.float32(np.exp(random.uniform(-0.4, 0.4) * strength))
    gain = 1 + random.uniform(-0.25, 0.25) * strength
    out = (out - 0.5) * np.float32(gain) + np.float32(0.5 + random.uniform(-0.1, 0.1) * strength)
    if random.random() < 0.3 * strength:
        out = np.asarray(cv2.GaussianBlur(out, (0, 0), random.uniform(0.3, 1.2)))
    if random.random() < 0.3 * strength:
        out = out + random.normal(0, random.uniform(0.005, 0.04), out.shape).astype(np.float32)
    return np.asarray(np.clip(out, 0, 1, dtype=np.float32))
