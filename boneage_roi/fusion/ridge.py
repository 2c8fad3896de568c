"""Linear stacking of the regions' ages: ridge regression on their differences from the mean, and on the sex."""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from boneage_roi.configs.schema import FusionConfig
from boneage_roi.errors import InputError
from boneage_roi.files import read_json, write_atomically
from boneage_roi.fusion import mean
from boneage_roi.fusion.features import HandReadings, moments
from boneage_roi.fusion.kind import CrossFitted, Fusion, Kind, Lesson
from boneage_roi.values import FloatArray

FILE = "ridge.json"

HEAVIEST = 6.0
"""No hand weighs more than so many others."""


def _inputs(hands: HandReadings) -> tuple[FloatArray, FloatArray, NDArray[np.float64]]:
    """The mean distributions, their ages, what the regression sees (N, R + 3); an absent region differs by nothing."""
    fused, age = mean.fuse(hands)
    differences = (moments(hands.distributions, hands.grid)[0] - age[:, None]) * hands.present
    columns = np.column_stack([differences, age / 100, hands.sex, np.ones(len(hands))])
    return fused, age, columns.astype(np.float64)


class _Ridge:
    def __init__(self, weights: NDArray[np.float64]) -> None:
        self._weights = weights

    def __call__(self, hands: HandReadings) -> tuple[FloatArray, FloatArray]:
        fused, age, columns = _inputs(hands)
        if len(self._weights) != columns.shape[1]:
            raise InputError(
                f"{FILE}: {len(self._weights)} weights for {len(hands.regions)} regions; export the bundle again"
            )
        return fused, np.asarray(age + columns @ self._weights, np.float32)

    def weights(self, hands: HandReadings) -> FloatArray:
        """By how much the age follows each region's, of 1 in all, see :class:`boneage_roi.fusion.kind.Weighing`."""
        own, stretch = self._weights[: len(hands.regions)], self._weights[len(hands.regions)] / 100
        alike = mean.shares(hands)
        follows = hands.present * own + alike * (1 + stretch - (hands.present @ own)[:, None])
        return np.asarray(follows / follows.sum(1, keepdims=True), np.float32)


def _open(folder: Path) -> Fusion:
    def weights(content: dict[str, list[float]]) -> NDArray[np.float64]:
        values = np.asarray(content["weights"], float)
        if values.ndim != 1 or not np.isfinite(values).all():
            raise ValueError("not a row of finite numbers")
        return values

    return _Ridge(read_json(folder / FILE, "the weights of a ridge regression", weights))


def _fit(hands: HandReadings, ages: FloatArray, settings: FusionConfig) -> NDArray[np.float64]:
    _, age, columns = _inputs(hands)
    penalty = settings.ridge * np.eye(columns.shape[1])
    penalty[-1, -1] = 1e-6  # the offset is free
    weighed = columns * balanced(ages, hands.sex, settings.balance)[:, None]
    return np.asarray(np.linalg.solve(weighed.T @ columns + penalty, weighed.T @ (ages - age)))


def balanced(ages: FloatArray, sex: FloatArray, power: float) -> NDArray[np.float64]:
    """How much each of N hands weighs: the rarer its sex and age band are, the more.

    Squared errors of all hands alike draw the ages at both ends, of which there are few, towards the middle.

    Args:
        power: 0 weighs all hands alike, 1 all bands, but for the rarest.
    """
    from boneage_roi.metrics import AGE_BAND_EDGES  # with pandas, which a reading needs not

    band = 2 * np.digitize(ages, AGE_BAND_EDGES[1:-1]) + (sex > 0)
    counts = np.bincount(band, minlength=2 * (len(AGE_BAND_EDGES) - 1))
    weights = (len(ages) / len(counts) / np.maximum(counts, 1)) ** power
    return np.asarray(np.minimum(weights, HEAVIEST)[band], float)


def _teach(lesson: Lesson) -> CrossFitted:
    hands, ages, settings = lesson.hands, lesson.ages, lesson.settings
    fused, months = mean.fuse(hands)
    months = months.copy()
    for teach, keep in lesson.folds():
        months[keep] = _Ridge(_fit(hands[teach], ages[teach], settings))(hands[keep])[1]
    weights = _fit(hands, ages, settings).tolist()
    write_atomically(lesson.folder / FILE, json.dumps({"weights": weights}, indent=2) + "\n")
    return CrossFitted(fused, months)


KIND = Kind((FILE,), _open, _teach)
