"""Prediction intervals whose width follows how sure the readings are, the sex and the age."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from boneage_roi.errors import InputError
from boneage_roi.files import read_json
from boneage_roi.fusion.features import HandReadings, disagreement, moments
from boneage_roi.values import FloatArray

KNOTS = (0, 36, 72, 108, 144, 180, 239)
"""Ages in months between which the width changes linearly, for each sex."""


@dataclass(frozen=True)
class Intervals:
    """Half width = ``factor`` x (``weights`` . ``interval_features``, ``narrowest`` at least), months.

    The weights are the quantile of the absolute error given the features (linear quantile regression); the factor
    makes the coverage hold on hands that the weights have not seen (conformalised quantile regression, Romano et al.
    2019, with one score for both ends).
    """

    coverage: float
    factor: float
    narrowest: float
    weights: tuple[float, ...]

    def half_width(self, hands: HandReadings, fused: FloatArray) -> FloatArray:
        """Half widths in months (N,) of hands with the fused distributions (N, bins)."""
        width = interval_features(hands, fused) @ np.asarray(self.weights)
        return np.asarray(self.factor * np.maximum(width, self.narrowest), np.float32)

    def to_json(self) -> str:
        """The content of ``intervals.json``."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def read(cls, path: Path) -> "Intervals":
        """Read ``intervals.json``.

        Raises:
            InputError: the file is missing or holds something else.
        """
        intervals = read_json(path, "an intervals file", cls._from_json)
        if len(intervals.weights) != 2 + 2 * len(KNOTS):
            raise InputError(f"{path}: {len(intervals.weights)} weights; the bundle is damaged")
        return intervals

    @classmethod
    def _from_json(cls, content: Any) -> "Intervals":
        weights = tuple(float(weight) for weight in content.pop("weights"))
        intervals = cls(weights=weights, **{name: float(value) for name, value in content.items()})
        if not np.isfinite([*weights, intervals.coverage, intervals.factor, intervals.narrowest]).all():
            raise ValueError("not a finite number")
        return intervals


def interval_features(hands: HandReadings, fused: FloatArray) -> FloatArray:
    """What the width depends on, (N, 2 + 2 x knots): spread, disagreement, the age's share in each knot by sex."""
    age, spread = moments(fused, hands.grid)
    shares = np.stack([np.interp(age, KNOTS, row) for row in np.eye(len(KNOTS))], axis=1)
    male = hands.sex[:, None]
    return np.column_stack([spread, disagreement(hands), shares * (1 - male), shares * male])
