"""Random changes of pose and of grey values that every stage trains with."""

from dataclasses import replace

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from boneage_roi.imaging.intensity import stretch
from boneage_roi.values import FloatImage, HandMask, Radiograph


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


def through_jpeg(image: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """An image (H, W) as it comes back from a JPEG of a quality, 0 to 100."""
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)


def poor_export(random: Generator, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """An image (H, W) after a bad export: noisy, with a pattern of lines, a coarse JPEG; one of them at least."""
    noise, lines, jpeg = (random.random() < share for share in (0.6, 0.15, 0.6))
    greys = image.astype(np.float32)
    if lines:
        rows, columns = np.ogrid[: image.shape[0], : image.shape[1]]
        angle, waves = random.uniform(0, np.pi), 2 * np.pi / random.uniform(2.1, 12)
        phase = waves * (rows * np.sin(angle) + columns * np.cos(angle))
        greys += random.uniform(0, 8) * np.sin(phase).astype(np.float32)
    if noise or not (lines or jpeg):
        greys += random.uniform(0, 12) * random.standard_normal(image.shape, np.float32)
    spoiled = np.asarray(greys.clip(0, 255), np.uint8)
    return through_jpeg(spoiled, int(random.integers(15, 80))) if jpeg else spoiled


def poor_file(random: Generator, radiograph: Radiograph, mask: HandMask) -> tuple[Radiograph, HandMask]:
    """A radiograph and its hand as they come back from a bad export, half of the time with fewer pixels."""
    height, width = radiograph.pixels.shape
    factor = random.uniform(0.4, 1) if random.random() < 0.5 else 1.0
    small = (round(width * factor), round(height * factor))
    whole = np.asarray(radiograph.pixels * 255, np.uint8)
    pixels = np.asarray(cv2.resize(whole, small, interpolation=cv2.INTER_AREA), np.uint8)
    if random.random() < 0.9:
        pixels = poor_export(random, pixels)
    hand = cv2.resize(mask.pixels.astype(np.uint8), small, interpolation=cv2.INTER_NEAREST).astype(bool)
    wrist, knuckle = ((factor * (x + 0.5) - 0.5, factor * (y + 0.5) - 0.5) for x, y in (mask.wrist, mask.middle_mcp))
    return replace(radiograph, pixels=stretch(pixels)), replace(mask, pixels=hand, wrist=wrist, middle_mcp=knuckle)


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
