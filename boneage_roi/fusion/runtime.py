"""Fusing the readings of a hand's regions into one bone age with the exported networks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np

from boneage_roi.errors import InputError
from boneage_roi.fusion.features import HandReadings, stack_readings
from boneage_roi.fusion.intervals import Intervals
from boneage_roi.fusion.kind import Fusion, Weighing
from boneage_roi.fusion.kinds import find_fusion
from boneage_roi.values import MONTHLY, AgeGrid, FloatArray, RegionReading, Sex


class Fuser:
    """A way to fuse and the interval around what it says: ``fuser(readings, sex)`` gives (months, lower, upper)."""

    def __init__(
        self, fusion: Fusion, intervals: Intervals, *, regions: Sequence[str], grid: AgeGrid = MONTHLY
    ) -> None:
        self._fusion = fusion
        self._intervals = intervals
        self._regions = tuple(regions)
        self._grid = grid

    @classmethod
    def open(cls, folder: Path, *, regions: Sequence[str], kind: str, grid: AgeGrid = MONTHLY) -> Self:
        """The fusion whose files lie in a folder, see :data:`boneage_roi.fusion.kinds.FUSIONS`."""
        intervals = Intervals.read(folder / "intervals.json")
        return cls(find_fusion(kind).open(folder), intervals, regions=regions, grid=grid)

    def __call__(self, readings: Sequence[RegionReading], sex: Sex) -> tuple[float, float, float]:
        months, half_width = self.fuse(stack_readings([(readings, sex)], self._regions, self._grid))
        age, half = float(months[0]), float(half_width[0])
        return age, max(age - half, 0.0), age + half

    def weights(self, readings: Sequence[RegionReading], sex: Sex) -> dict[str, float]:
        """How much each region counts in the age of a hand; they sum to 1. Empty where the fusion cannot tell."""
        if not isinstance(self._fusion, Weighing):
            return {}
        weights = self._fusion.weights(stack_readings([(readings, sex)], self._regions, self._grid))
        return {} if weights is None else dict(zip(self._regions, weights[0].tolist(), strict=True))

    def fuse(self, hands: HandReadings) -> tuple[FloatArray, FloatArray]:
        """Bone ages and half widths of their intervals, months, each (N,).

        Raises:
            InputError: one is not finite.
        """
        fused, months = self._fusion(hands)
        half_widths = self._intervals.half_width(hands, fused)
        if not (np.isfinite(months).all() and np.isfinite(half_widths).all()):  # before the range hides infinity
            raise InputError("the fusion gave a number that is not finite; the bundle is damaged, export it again")
        return months.clip(0, hands.grid.last), half_widths
