"""Fusing the readings of a hand's regions into one bone age with the exported networks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from boneage_roi.fusion.features import HandReadings, moments, stack_readings, tree_features
from boneage_roi.fusion.intervals import Intervals
from boneage_roi.onnx_session import open_session
from boneage_roi.regions import AGE_BINS
from boneage_roi.values import FloatArray, RegionReading, Sex

FUSION_FILES = ("rb_fcl.onnx", "fusion.onnx", "intervals.json")


class Fuser:
    """Feature-connected layer, boosted residual, interval: ``fuser(readings, sex)`` gives (months, lower, upper)."""

    def __init__(self, rb_fcl: Path, trees: Path, intervals: Path) -> None:
        self._layer = open_session(rb_fcl)
        self._trees = open_session(trees)
        self._intervals = Intervals.read(intervals)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """The fusion whose three files lie in a folder."""
        return cls(*(folder / name for name in FUSION_FILES))

    def __call__(self, readings: Sequence[RegionReading], sex: Sex) -> tuple[float, float, float]:
        months, half_width = self.fuse(stack_readings([(readings, sex)]))
        age, half = float(months[0]), float(half_width[0])
        return age, max(age - half, 0.0), age + half

    def fuse(self, hands: HandReadings) -> tuple[FloatArray, FloatArray]:
        """Bone ages and half widths of their intervals, months, each (N,)."""
        fused = self._layer.run(None, hands.network_inputs)[0]
        residual = self._trees.run(None, {"features": tree_features(hands, fused)})[0].reshape(-1)
        months = (moments(fused)[0] + residual).clip(0, AGE_BINS - 1)
        return months, self._intervals.half_width(hands, fused)
