"""Linear stacking: the regions' ages in a weighted sum whose weights are not negative (Breiman, Mach Learn
1996;24:49-64)."""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from boneage_roi.files import read_json, write_atomically
from boneage_roi.fusion import mean
from boneage_roi.fusion.features import HandReadings, moments
from boneage_roi.fusion.kind import CrossFitted, Fusion, Kind, Lesson
from boneage_roi.values import FloatArray

FILE = "stacking.json"

Weights = NDArray[np.float64]


def _ages(hands: HandReadings) -> NDArray[np.float64]:
    """The regions' ages (N, R + 1) and a column of ones; for a region that was not found, the mean of the others."""
    own = moments(hands.distributions, hands.grid)[0]
    ages = np.where(hands.present > 0, own, mean.fuse(hands)[1][:, None])
    return np.column_stack([ages, np.ones(len(hands))]).astype(np.float64)


def _fit(hands: HandReadings, ages: FloatArray) -> Weights:
    from scipy.optimize import lsq_linear

    columns = _ages(hands)
    lowest = np.zeros(columns.shape[1])
    lowest[-1] = -np.inf  # the offset may be negative
    return np.asarray(lsq_linear(columns, ages, (lowest, np.inf)).x)


class _Stacking:
    def __init__(self, weights: Weights) -> None:
        self._weights = weights

    def __call__(self, hands: HandReadings) -> tuple[FloatArray, FloatArray]:
        return mean.mean_distribution(hands), np.asarray(_ages(hands) @ self._weights, np.float32)

    def weights(self, hands: HandReadings) -> FloatArray:
        """Those of absent regions are divided among the others, see :class:`boneage_roi.fusion.kind.Weighing`."""
        own = hands.present * self._weights[:-1]
        follows = own + mean.shares(hands) * ((1 - hands.present) @ self._weights[:-1])[:, None]
        return np.asarray(follows / follows.sum(1, keepdims=True), np.float32)


def _open(folder: Path) -> Fusion:
    def weights(content: dict[str, list[float]]) -> Weights:
        values = np.asarray(content["weights"], float)
        if values.ndim != 1 or not np.isfinite(values).all():
            raise ValueError("not a row of finite numbers")
        return values

    return _Stacking(read_json(folder / FILE, "the weights of a stacking", weights))


def _teach(lesson: Lesson) -> CrossFitted:
    hands, ages = lesson.hands, lesson.ages
    months = np.zeros(len(ages), np.float32)
    for teach, keep in lesson.folds():
        months[keep] = _Stacking(_fit(hands[teach], ages[teach]))(hands[keep])[1]
    weights = _fit(hands, ages)
    write_atomically(lesson.folder / FILE, json.dumps({"weights": weights.tolist()}, indent=2) + "\n")
    shares = dict(zip((*hands.regions, "offset"), weights.round(4).tolist(), strict=True))
    return CrossFitted(mean.mean_distribution(hands), months, {"weights": shares})


KIND = Kind((FILE,), _open, _teach)
