"""Samples for the segmenter: squares with a hand mask, two landmarks, or both."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from boneage_roi.datasets.augmentation import random_intensity, random_similarity

LANDMARK_SIGMA = 0.016
"""Width of a landmark's target, as a share of the square's side."""


@dataclass(frozen=True, eq=False)
class HandSample:
    """A letterboxed radiograph and what is known of it.

    Attributes:
        image: uint8 (S, S).
        mask: uint8 (S, S), 0 or 255, or None where no outline was drawn.
        landmarks: float (2, 2): wrist and middle MCP joint in the square's pixels, or None where nobody marked them.
        weight: how much its mask counts; pseudo-masks count less than drawn ones.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.uint8] | None
    landmarks: NDArray[np.float64] | None
    weight: float = 1.0


class HandDataset(Dataset[tuple[Tensor, ...]]):
    """Augmented samples: image (1, S, S), mask (1, S, S), landmark targets (2, S, S), mask weight, landmark weight."""

    def __init__(self, samples: list[HandSample], seed: int, length: int | None = None) -> None:
        self.samples = samples
        self.seed = seed
        self.length = length or len(samples)
        self.random = np.random.default_rng(seed)

    def reseed(self, *numbers: int) -> None:
        """Draw from now on what these numbers make."""
        self.random = np.random.default_rng((self.seed, *numbers))

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        sample, random = self.samples[index % len(self.samples)], self.random
        size = sample.image.shape[0]
        degrees = 180.0 if random.random() < 0.2 else 35.0
        matrix = random_similarity(
            random, (size / 2, size / 2), degrees=degrees, scale=(0.55, 1.15), shift=0.08 * size, flip=True
        )
        image = _disturb(random, _warp(random, sample.image, matrix))
        mask: NDArray[np.float32] = np.zeros((size, size), np.float32)
        if sample.mask is not None:
            mask = cv2.warpAffine(sample.mask, matrix, (size, size)).astype(np.float32) / np.float32(255)
        targets = np.zeros((2, size, size), np.float32)
        inside = False
        if sample.landmarks is not None:
            points = sample.landmarks @ matrix[:, :2].T + matrix[:, 2]
            inside = bool(((points >= 0) & (points < size)).all())
            targets = np.stack([_peak(point, size) for point in points])
        weights = torch.tensor([sample.weight if sample.mask is not None else 0.0, float(inside)])
        return torch.from_numpy(image)[None], torch.from_numpy(mask)[None], torch.from_numpy(targets), weights


def _peak(point: NDArray[np.float64], size: int) -> NDArray[np.float32]:
    """A Gaussian at a point that sums to one, float32 (size, size)."""
    grid = np.arange(size)
    sigma = LANDMARK_SIGMA * size
    columns = np.exp(-0.5 * ((grid - point[0]) / sigma) ** 2)
    rows = np.exp(-0.5 * ((grid - point[1]) / sigma) ** 2)
    peak = np.outer(rows, columns)
    return np.asarray(peak / max(peak.sum(), 1e-6), np.float32)


def _warp(random: Generator, image: NDArray[np.uint8], matrix: NDArray[np.float64]) -> NDArray[np.float32]:
    border = cv2.BORDER_REPLICATE if random.random() < 0.3 else cv2.BORDER_CONSTANT
    size = image.shape[0]
    warped = cv2.warpAffine(image, matrix, (size, size), borderMode=border)
    if random.random() < 0.3:  # a marker
        x, y = (int(value) for value in random.integers(0, size - 30, 2))
        text = "".join(random.choice(list("LRABCDJKMST"), random.integers(1, 4)))
        cv2.putText(warped, text, (x, y + 20), cv2.FONT_HERSHEY_SIMPLEX, random.uniform(0.4, 1.0), 255, 2)
    return warped.astype(np.float32) / np.float32(255)


def _disturb(random: Generator, image: NDArray[np.float32]) -> NDArray[np.float32]:
    """What radiographs in the field have: grey beds, bright frames, markers, odd windows, inverted greys."""
    size = image.shape[0]
    if random.random() < 0.25:  # grey or bright bed behind the hand
        floor = random.uniform(0.1, 0.6)
        image = floor + (1 - floor) * image
    if random.random() < 0.2:  # bright or dark frame of a cassette or a shutter
        left, top, right, bottom = (random.uniform(0, 0.12, 4) * size).astype(int)
        level = random.choice([0.0, 1.0, random.random()])
        image = image.copy()
        image[:top], image[size - bottom :], image[:, :left], image[:, size - right :] = level, level, level, level
    image = random_intensity(random, np.clip(image, 0, 1).astype(np.float32), strength=1.6)
    return 1 - image if random.random() < 0.12 else image
