"""Landmark forest: a regression forest whose pixels vote for where the landmarks of a hand are.

As forests were used before networks (Lindner et al., IEEE Trans Pattern Anal Mach Intell 2015;37:1862-1874): every
pixel that is looked at is described by differences of greys at places around it; a forest says from these how far the
landmarks lie from it; the votes of all pixels are added up, near ones for more, and the highest place is the landmark.
To be measured beside the U-Net's landmarks; no bundle holds one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor

Greys = NDArray[np.uint8]
Points = NDArray[np.float64]

OFFSETS = 400
"""Differences of greys that there are to choose from."""


@dataclass(frozen=True)
class ForestSettings:
    """As in the papers.

    Attributes:
        trees, depth: of the forest.
        candidates: features that a node may choose from.
        thresholds: that it may choose from for each.
        samples: pixels looked at in each image.
        reach: how far from a pixel greys are compared, as a share of the image's side.
    """

    trees: int = 8
    depth: int = 14
    candidates: int = 100
    thresholds: int = 10
    samples: int = 300
    reach: float = 0.3


class LandmarkForest:
    """``forest.fit(images, landmarks)``, then ``forest(image)`` gives the landmarks (L, 2) as x and y in pixels.

    Images are greys uint8 (H, W) of one size.
    """

    def __init__(self, settings: ForestSettings | None = None, seed: int = 0) -> None:
        self.settings = settings or ForestSettings()
        self._random = np.random.default_rng(seed)
        self._forest = RandomForestRegressor(
            self.settings.trees,
            max_depth=self.settings.depth,
            max_features=self.settings.candidates,
            min_samples_leaf=5,
            n_jobs=1,
            random_state=seed,
        )
        self._pairs = self._random.uniform(-1, 1, (OFFSETS, 2, 2))
        self._levels: Points = np.zeros((OFFSETS, self.settings.thresholds))

    def fit(self, images: Sequence[Greys], landmarks: Sequence[Points]) -> "LandmarkForest":
        """Learn from images and their landmarks (L, 2) each."""
        features, targets = [], []
        for image, points in zip(images, landmarks, strict=True):
            places = self._places(image)
            features.append(self._differences(image, places))
            targets.append((points[None] - places[:, None]).reshape(len(places), -1))
        stacked = np.concatenate(features)
        shares = np.linspace(0, 1, self.settings.thresholds + 2)[1:-1]
        self._levels = np.asarray(np.quantile(stacked, shares, axis=0).T, np.float64)
        self._forest.fit(self._binned(stacked), np.concatenate(targets))
        return self

    def __call__(self, image: Greys) -> Points:
        places = self._places(image)
        told = self._forest.predict(self._binned(self._differences(image, places)))
        offsets = told.reshape(len(places), -1, 2)
        height, width = image.shape
        found = []
        for landmark in range(offsets.shape[1]):
            votes = np.rint(places + offsets[:, landmark]).astype(int)
            weights = np.exp(-np.linalg.norm(offsets[:, landmark], axis=1) / (0.15 * height))
            inside = (votes >= 0).all(axis=1) & (votes < [width, height]).all(axis=1)
            sums = np.zeros((height, width), np.float32)
            np.add.at(sums, (votes[inside, 1], votes[inside, 0]), weights[inside].astype(np.float32))
            smooth = cv2.GaussianBlur(sums, (0, 0), 0.015 * height)
            row, column = np.unravel_index(int(smooth.argmax()), smooth.shape)
            found.append((column, row))
        return np.array(found, np.float64)

    def _places(self, image: Greys) -> Points:
        """Pixels to look at (S, 2), bright ones more often."""
        height, width = image.shape
        chance = image.astype(np.float64).ravel() + 8
        chosen = self._random.choice(height * width, self.settings.samples, p=chance / chance.sum())
        return np.column_stack([chosen % width, chosen // width]).astype(np.float64)

    def _differences(self, image: Greys, places: Points) -> NDArray[np.float32]:
        """Differences of smoothed greys at two places around each pixel, (S, ``OFFSETS``)."""
        height, width = image.shape
        smooth = cv2.GaussianBlur(image, (0, 0), 0.01 * height).astype(np.float32)
        at = places[:, None, None] + self.settings.reach * height * self._pairs
        columns = np.clip(np.rint(at[..., 0]), 0, width - 1).astype(int)
        rows = np.clip(np.rint(at[..., 1]), 0, height - 1).astype(int)
        greys = smooth[rows, columns]
        return np.asarray(greys[..., 0] - greys[..., 1], np.float32)

    def _binned(self, differences: NDArray[np.float32]) -> NDArray[np.float32]:
        """Differences as numbers of the thresholds that they pass: a node has no others to choose from."""
        return np.asarray((differences[..., None] > self._levels).sum(-1), np.float32)
