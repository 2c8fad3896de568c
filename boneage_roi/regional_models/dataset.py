"""Samples for a region's CNN: augmented crops of one hand, its age and sex."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from boneage_roi.datasets.augmentation import random_intensity, random_similarity
from boneage_roi.regional_models.crops import Crops

CONTEXT = 1.25
"""How much larger than the network's input the cached crops are."""


@dataclass(frozen=True, eq=False)
class RegionSample:
    """One hand's crops (cut with ``CONTEXT``), bone age in months, sex as 1 for male and 0 for female.

    ``bad_export`` are the same crops of a bad export.
    """

    crops: Crops
    boneage: float
    male: float
    bad_export: Crops | None = None


MOST_OFTEN = 5
"""A hand of a rare age is shown so many times at the most."""


def repeat_rare(samples: Sequence[RegionSample], strength: float) -> Sequence[RegionSample]:
    """Samples with those of rare ages several times; each is changed anew when it is drawn.

    A hand of a year of age with n hands is there (m / n) ** ``strength`` times, rounded, where m is the median of n
    over the years that there are, once at least and :data:`MOST_OFTEN` times at the most.
    """
    if strength == 0 or not samples:
        return samples
    years = np.array([int(sample.boneage // 12) for sample in samples])
    counts = np.bincount(years)
    ratio = np.median(counts[counts > 0]) / counts[years]
    times = np.clip(np.round(ratio**strength), 1, MOST_OFTEN).astype(int)
    return [sample for sample, often in zip(samples, times, strict=True) for _ in range(often)]


class RegionDataset(Dataset[tuple[Tensor, ...]]):
    """Samples padded to the region's most crops: crops (C, 1, h, w), present (C,), places (C, 4), sex, age.

    With an ``augmentation`` above 0 each hand is mirrored half of the time and each crop turned, moved, scaled and
    changed in grey, at 1 by up to 15 degrees, 6 %, 18 % and half a stop. Of a share ``bad_exports`` of the
    hands the crops of a bad export are given. ``aspect`` is the standard deviation of the logarithm by which hands are
    made too wide or too high.
    """

    def __init__(
        self,
        samples: Sequence[RegionSample],
        size: tuple[int, int],
        max_crops: int,
        *,
        seed: int,
        augmentation: float = 0,
        bad_exports: float = 0,
        aspect: float = 0,
    ) -> None:
        self.samples = samples
        self.size = size
        self.max_crops = max_crops
        self.augmentation = augmentation
        self.bad_exports = bad_exports
        self.aspect = aspect
        self.seed = seed
        self.random = np.random.default_rng(seed)

    def reseed(self, *numbers: int) -> None:
        """Draw from now on what these numbers make."""
        self.random = np.random.default_rng((self.seed, *numbers))

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        sample, (height, width) = self.samples[index], self.size
        count = len(sample.crops.pixels)
        crops = np.zeros((self.max_crops, 1, height, width), np.float32)
        places = np.zeros((self.max_crops, 4), np.float32)
        present = np.zeros(self.max_crops, np.float32)
        present[:count] = 1
        places[:count] = sample.crops.places
        flip = self.augmentation > 0 and self.random.random() < 0.5
        if flip:
            places[:count, 0] = 1 - places[:count, 0]
        given = sample.crops
        if sample.bad_export is not None and self.random.random() < self.bad_exports:
            given = sample.bad_export
        wider = float(np.exp(self.random.normal(0, self.aspect) / 2)) if self.aspect else 1.0
        places[:count, 2:] *= [wider, 1 / wider]
        for position, crop in enumerate(given.pixels):
            crops[position, 0] = self._augmented(crop, flip, wider) if self.augmentation else self._middle(crop)
        age, male = np.float32(sample.boneage), np.float32(sample.male)
        return (
            torch.from_numpy(crops),
            torch.from_numpy(present),
            torch.from_numpy(places),
            torch.tensor(male),
            torch.tensor(age),
        )

    def _middle(self, crop: np.ndarray) -> np.ndarray:
        height, width = self.size
        top, left = (crop.shape[0] - height) // 2, (crop.shape[1] - width) // 2
        return crop[top : top + height, left : left + width].astype(np.float32) / 255

    def _augmented(self, crop: np.ndarray, flip: bool, wider: float) -> np.ndarray:
        height, width = self.size
        centre = (crop.shape[1] / 2, crop.shape[0] / 2)
        strength = self.augmentation
        reach, shift = 1.18**strength, 0.06 * min(height, width) * strength
        matrix = random_similarity(
            self.random, centre, degrees=15 * strength, scale=(1 / reach, reach), shift=shift, flip=False
        )
        stretch = np.diag([wider, 1 / wider])  # about the middle
        matrix = np.column_stack([stretch @ matrix[:, :2], stretch @ (matrix[:, 2] - centre) + centre])
        matrix[:, 2] -= [(crop.shape[1] - width) / 2, (crop.shape[0] - height) / 2]
        if flip:
            matrix[0] = [-matrix[0, 0], -matrix[0, 1], width - 1 - matrix[0, 2]]
        warped = cv2.warpAffine(crop, matrix, (width, height)).astype(np.float32) / np.float32(255)
        return random_intensity(self.random, warped, strength=0.8 * strength)
