"""Hands with readings that are made up."""

import numpy as np

from boneage_roi.fusion.features import HandReadings, stack_readings
from boneage_roi.regions import REGIONS
from boneage_roi.values import MONTHLY, RegionReading

ALL = tuple(REGIONS)
COUNT, WIDTH = len(ALL), 8
MONTHS = np.arange(MONTHLY.bins)


def gaussian(age: float, sigma: float = 10.0) -> np.ndarray:
    peak = np.exp(-0.5 * ((MONTHS - age) / sigma) ** 2)
    return np.asarray(peak / peak.sum(), np.float32)


def reading(region: str, age: float, sigma: float = 10.0, width: int = WIDTH) -> RegionReading:
    features = np.random.default_rng(int(age)).random(width, np.float32)
    return RegionReading(region, gaussian(age, sigma), features, crops=1, confidence=0.8)


def hands_of(count: int, seed: int = 0, width: int = WIDTH) -> HandReadings:
    """Hands of many ages, whose regions agree more or less, with features of a width."""
    random = np.random.default_rng(seed)
    ages, spreads = random.uniform(60, 180, count), random.uniform(1, 15, count)
    said = ages[:, None] + random.normal(0, spreads, (COUNT, count)).T
    return stack_readings(
        [
            (
                [reading(region, age, width=width) for region, age in zip(ALL, hand, strict=True)],
                "M" if row % 2 else "F",
            )
            for row, hand in enumerate(said)
        ],
        ALL,
    )
