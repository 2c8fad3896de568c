"""Samples for the aspect network: hands of a known aspect, squashed as files are, then seen as a reader sees them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from boneage_roi.aspect.view import FREE, aspect_view
from boneage_roi.datasets.augmentation import random_intensity
from boneage_roi.files import write_atomically
from boneage_roi.imaging.frame import hand_frame
from boneage_roi.values import HandMask, Radiograph

MOST = 2.1
"""Hands are made so many times too wide, or too high, at the most: as where every second row is left out."""

SQUARE, RIGHT = 0.4, 0.25
"""Shares of the hands whose file is squashed to a square, as most copies are, and whose aspect is nearly right. The
others are turned, and get any aspect."""

NEARLY = 0.04
"""Standard deviation of the logarithm of an aspect that is nearly right: as a first restoring leaves it."""

KEPT_LARGER = 1.25
"""A view that is learnt from is kept so many times larger than it is needed, because it is stretched once more."""

STRETCH = 0.1
"""Standard deviation of the logarithm by which a view is stretched once more when it is learnt from."""


@dataclass(frozen=True, eq=False)
class SeenHand:
    """A view, uint8 (S, S), and the logarithm of how much too wide the hand in it is, along its x axis."""

    view: NDArray[np.uint8]
    error: float


def seen_hand(
    radiograph: Radiograph,
    find: Callable[[Radiograph], HandMask],
    *,
    degrees: float,
    error: float,
    size: int,
    frame_size: tuple[int, int],
) -> SeenHand | None:
    """A radiograph of the right aspect that is turned and made ``exp(error)`` times too wide, then seen.

    Mask, landmarks and frame are those that a reader finds in the squashed image, not the squashed ones of the right
    image: they differ by a few percent, and it is the former that the network will be shown.

    Returns:
        None where no hand was found.
    """
    file = replace(radiograph, pixels=squashed(turned(radiograph.pixels, degrees), error))
    mask = find(file)
    if not mask.pixels.any():
        return None
    view, sign = aspect_view(hand_frame(file, mask, frame_size), mask, size)
    return SeenHand(view, sign * error)


def squashed(pixels: NDArray[np.float32], error: float) -> NDArray[np.float32]:
    """An image made ``exp(error)`` times too wide by making one side shorter."""
    height, width = pixels.shape
    size = (width, round(height * np.exp(-error))) if error > 0 else (round(width * np.exp(error)), height)
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.float32)


def turned(pixels: NDArray[np.float32], degrees: float) -> NDArray[np.float32]:
    """An image turned on a canvas that holds all of it."""
    if degrees == 0:
        return pixels
    height, width = pixels.shape
    turn = np.asarray(cv2.getRotationMatrix2D((0, 0), degrees, 1), np.float64)
    corners = np.array([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]]) @ turn[:, :2].T
    turn[:, 2] = -corners.min(axis=0)
    canvas = tuple(int(side) for side in np.ceil(np.ptp(corners, axis=0)) + 1)
    return np.asarray(cv2.warpAffine(pixels, turn, canvas), np.float32)


def square_error(pixels: NDArray[np.float32]) -> float:
    """The error of an image whose file is squashed to a square."""
    height, width = pixels.shape
    return float(np.log(height / width))


def random_pose(random: Generator, square: float) -> tuple[float, float]:
    """Degrees by which a hand is turned, and the logarithm of how much too wide it is then made.

    Args:
        square: the error where the file is squashed to a square.
    """
    kind = random.random()
    if kind < SQUARE:
        return 0.0, square
    if kind < SQUARE + RIGHT:
        return 0.0, random.normal(0, NEARLY)
    degrees = random.uniform(-180, 180) if random.random() < 0.3 else random.normal(0, 12)
    return degrees, random.uniform(-np.log(MOST), np.log(MOST))


def write_samples(path: Path, samples: dict[str, list[SeenHand]]) -> None:
    """Keep views by what they are for; those of one kind are of one size."""
    content = BytesIO()
    arrays: dict[str, Any] = {}
    for kind, hands in samples.items():
        arrays[f"{kind}_views"] = np.stack([hand.view for hand in hands])
        arrays[f"{kind}_errors"] = np.array([hand.error for hand in hands])
    np.savez_compressed(content, **arrays)
    write_atomically(path, content.getvalue())


def read_samples(path: Path, kind: str) -> list[SeenHand]:
    """The views of a kind that :func:`write_samples` kept."""
    with np.load(path) as kept:
        columns = kept[f"{kind}_views"], kept[f"{kind}_errors"]
    return [SeenHand(view, float(error)) for view, error in zip(*columns, strict=True)]


class AspectDataset(Dataset[tuple[Tensor, Tensor]]):
    """Views (1, S, S) of squashed hands, half of them mirrored, and their errors along the view's x axis."""

    def __init__(self, hands: list[SeenHand], size: int, *, seed: int) -> None:
        self.hands = hands
        self.size = size
        self.seed = seed
        self.random = np.random.default_rng(seed)

    def reseed(self, *numbers: int) -> None:
        """Draw from now on what these numbers make."""
        self.random = np.random.default_rng((self.seed, *numbers))

    def __len__(self) -> int:
        return len(self.hands)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        hand, more = self.hands[index], self.random.normal(0, STRETCH)
        view = stretched(self.random, hand.view, more, self.size)
        if self.random.random() < 0.5:
            view = view[:, ::-1]
        grey = random_intensity(self.random, view, strength=0.7)
        return torch.from_numpy(grey)[None], torch.tensor(hand.error + more, dtype=torch.float32)


def stretched(random: Generator, view: NDArray[np.uint8], error: float, size: int) -> NDArray[np.float32]:
    """A view made ``exp(error)`` times too wide, filled again, and a little moved and scaled as by another mask."""
    rows, columns = np.nonzero(view)
    if len(rows) == 0:
        return np.zeros((size, size), np.float32)
    low, high = (np.array([end(columns), end(rows)], float) for end in (np.min, np.max))
    axes = np.exp([error / 2, -error / 2])
    scale = (1 - 2 * FREE) * size / max(float(((high - low) * axes).max()), 1.0) * np.exp(random.normal(0, 0.03))
    offset = (size - 1) / 2 - scale * axes * (low + high) / 2 + random.normal(0, 0.015, 2) * size
    matrix = np.column_stack([np.diag(scale * axes), offset])
    return np.asarray(cv2.warpAffine(view, matrix, (size, size)), np.float32) / np.float32(255)
