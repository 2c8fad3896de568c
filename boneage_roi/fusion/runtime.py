"""Fusing the readings of a hand's regions into one bone age with the exported networks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np

from boneage_roi.errors import InputError
from boneage_roi.fusion.features import HandReadings, moments, stack_readings, tree_features
from boneage_roi.fusion.intervals import Intervals
from boneage_roi.onnx_session import Network
from boneage_roi.values import MONTHLY, AgeGrid, FloatArray, RegionReading, Sex

FUSION_FILES = ("rb_fcl.onnx", "fusion.onnx", "intervals.json")


class Fuser:
    """Feature-connected layer, boosted residual, interval: ``fuser(readings, sex)`` gives (months, lower, upper)."""

    def __init__(
        self, rb_fcl: Path, trees: Path, intervals: Path, *, regions: Sequence[str], grid: AgeGrid = MONTHLY
    ) -> None:
        self._layer = Network(rb_fcl, "the feature-connected layer")
        self._trees = Network(trees, "the boosted trees")
        self._intervals = Intervals.read(intervals)
        self._regions = tuple(regions)
        self._grid = grid

    @classmethod
    def open(cls, folder: Path, *, regions: Sequence[str], grid: AgeGrid = MONTHLY) -> Self:
        """The fusion whose three files lie in a folder."""
        return cls(*(folder / name for name in FUSION_FILES), regions=regions, grid=grid)

    def __call__(self, readings: Sequence[RegionReading], sex: Sex) -> tuple[float, float, float]:
        months, half_width = self.fuse(stack_readings([(readings, sex)], self._regions, self._grid))
        age, half = float(months[0]), float(half_width[0])
        return age, max(age - half, 0.0), age + half

    def fuse(self, hands: HandReadings) -> tuple[FloatArray, FloatArray]:
        """Bone ages and half widths of their intervals, months, each (N,).

        Raises:
            InputError: one is not finite.
        """
        (fused,) = self._layer(hands.network_inputs, [(len(hands), hands.grid.bins)])
        (residual,) = self._trees({"features": tree_features(hands, fused)}, [(len(hands), 1)])
        months = moments(fused, hands.grid)[0] + residual[:, 0]
        half_widths = self._intervals.half_width(hands, fused)
        if not (np.isfinite(months).all() and np.isfinite(half_widths).all()):  # before the range hides infinity
            raise InputError("the fusion gave a number that is not finite; the bundle is damaged, export it again")
        return months.clip(0, hands.grid.last), half_widths
