"""What the fusion is given of a hand: the regions' readings as arrays, absent regions masked."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from boneage_roi.values import MONTHLY, AgeGrid, FloatArray, RegionReading, Sex

QUANTILES = (0.1, 0.5, 0.9)
ABSENT = -1.0
"""What the trees see of a region that was not found."""


@dataclass(frozen=True, eq=False)
class HandReadings:
    """The readings of N hands, R regions.

    Attributes:
        regions: their names, in the order of the arrays.
        grid: the ages that the distributions are over.
        features: float32 (N, R, D), zero where absent.
        distributions: float32 (N, R, bins), uniform where absent.
        present: float32 (N, R), 1 or 0.
        sex: float32 (N,), 1 for male.
        crops, confidences: float32 (N, R).
    """

    regions: tuple[str, ...]
    grid: AgeGrid
    features: FloatArray
    distributions: FloatArray
    present: FloatArray
    sex: FloatArray
    crops: FloatArray
    confidences: FloatArray

    def __getitem__(self, rows: np.ndarray) -> "HandReadings":
        return replace(
            self,
            features=self.features[rows],
            distributions=self.distributions[rows],
            present=self.present[rows],
            sex=self.sex[rows],
            crops=self.crops[rows],
            confidences=self.confidences[rows],
        )

    def __len__(self) -> int:
        return len(self.sex)

    @property
    def network_inputs(self) -> dict[str, FloatArray]:
        """What the feature-connected layer is fed, by input name."""
        return {
            "features": self.features,
            "distributions": self.distributions,
            "present": self.present,
            "sex": self.sex,
        }


def stack_readings(
    hands: Sequence[tuple[Sequence[RegionReading], Sex]], regions: Sequence[str], grid: AgeGrid = MONTHLY
) -> HandReadings:
    """Arrange readings of hands, regions in the given order; each hand needs one region at least."""
    width = len(hands[0][0][0].features)
    shape = (len(hands), len(regions))
    stacked = HandReadings(
        regions=tuple(regions),
        grid=grid,
        features=np.zeros((*shape, width), np.float32),
        distributions=np.full((*shape, grid.bins), 1 / grid.bins, np.float32),
        present=np.zeros(shape, np.float32),
        sex=np.array([sex == "M" for _, sex in hands], np.float32),
        crops=np.zeros(shape, np.float32),
        confidences=np.zeros(shape, np.float32),
    )
    for row, (readings, _) in enumerate(hands):
        for reading in readings:
            place = (row, stacked.regions.index(reading.region))
            stacked.features[place] = reading.features
            stacked.distributions[place] = reading.distribution
            stacked.present[place] = 1
            stacked.crops[place] = reading.crops
            stacked.confidences[place] = reading.confidence
    return stacked


def moments(distributions: FloatArray, grid: AgeGrid = MONTHLY) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation in months of distributions (..., bins)."""
    months = grid.months
    mean = distributions @ months
    variance = distributions @ months**2 - mean**2
    return mean, np.sqrt(np.maximum(variance, 0))


def tree_features(hands: HandReadings, fused: FloatArray) -> FloatArray:
    """What the boosted trees see, float32 (N, F).

    Region ages, spreads, quantiles, crop counts and confidences, the feature-connected layer's age and spread, sex.

    Args:
        fused: the feature-connected layer's distributions (N, bins).
    """
    age, spread = moments(hands.distributions, hands.grid)
    cumulative = hands.distributions.cumsum(-1)
    quantiles = [hands.grid.width * (cumulative < level).sum(-1) for level in QUANTILES]
    by_region = np.stack([age, spread, *quantiles, hands.crops, hands.confidences], axis=-1)
    by_region = np.where(hands.present[..., None] > 0, by_region, ABSENT).reshape(len(hands), -1)
    fused_age, fused_spread = moments(fused, hands.grid)
    return np.column_stack([by_region, fused_age, fused_spread, hands.sex]).astype(np.float32)


def disagreement(hands: HandReadings) -> FloatArray:
    """Standard deviation of the region ages of each hand, months, (N,)."""
    age, _ = moments(hands.distributions, hands.grid)
    count = hands.present.sum(1)
    mean = (age * hands.present).sum(1) / count
    return np.asarray(np.sqrt((((age - mean[:, None]) ** 2) * hands.present).sum(1) / count), np.float32)
