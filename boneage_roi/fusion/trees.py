"""Boosted trees that correct the mean of the regions' distributions."""

from pathlib import Path

import numpy as np

from boneage_roi.fusion import mean
from boneage_roi.fusion.features import HandReadings, tree_features
from boneage_roi.fusion.kind import CrossFitted, Fusion, Kind, Lesson, Weighing
from boneage_roi.onnx_session import Network
from boneage_roi.values import FloatArray

FILE = "fusion.onnx"


class Corrected:
    """Another fusion, whose ages trees correct."""

    def __init__(self, base: Weighing, path: Path) -> None:
        self._base = base
        self._trees = Network(path, "the boosted trees")

    def __call__(self, hands: HandReadings) -> tuple[FloatArray, FloatArray]:
        fused, age = self._base(hands)
        (correction,) = self._trees({"features": tree_features(hands, fused)}, [(len(hands), 1)])
        return fused, np.asarray(age + correction[:, 0], np.float32)

    def weights(self, hands: HandReadings) -> FloatArray | None:
        """Those of what is corrected, see :class:`boneage_roi.fusion.kind.Weighing`."""
        return self._base.weights(hands)


def correct(base: CrossFitted, lesson: Lesson) -> CrossFitted:
    """Teach trees what a fusion leaves of hands that it had not seen; writes them."""
    from boneage_roi.fusion.boosting import Residuals, boost, export_trees

    residuals = Residuals(base, lesson)
    trees, rounds, months = boost(residuals)
    export_trees(trees, residuals.inputs.shape[1], lesson.folder / FILE)
    return CrossFitted(base.distributions, months, {**base.measured, "trees": rounds})


def _open(folder: Path) -> Fusion:
    return Corrected(mean.Mean(), folder / FILE)


def _teach(lesson: Lesson) -> CrossFitted:
    return correct(CrossFitted(*mean.fuse(lesson.hands)), lesson)


KIND = Kind((FILE,), _open, _teach)
