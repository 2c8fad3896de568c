"""The region-based feature-connected layer: a committee of the layers that cross-fitting trained."""

import re
from pathlib import Path

import numpy as np

from boneage_roi.fusion.features import HandReadings, moments
from boneage_roi.fusion.kind import CrossFitted, Fusion, Kind, Lesson
from boneage_roi.onnx_check import tensor_names
from boneage_roi.onnx_session import Network
from boneage_roi.values import FloatArray

FILE = "rb_fcl.onnx"

WEIGHTS = re.compile(r"(^|/)Softmax_output_0$")
"""The layer's weights of the regions, one tensor a member of its committee."""


class Layer:
    """The exported committee."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._network = Network(path, "the feature-connected layer")

    def __call__(self, hands: HandReadings) -> tuple[FloatArray, FloatArray]:
        (fused,) = self._network(hands.network_inputs, [(len(hands), hands.grid.bins)])
        return fused, moments(fused, hands.grid)[0]

    def weights(self, hands: HandReadings) -> FloatArray | None:
        """Those of its weighted mean of distributions, see :class:`boneage_roi.fusion.kind.Weighing`."""
        names = [name for name in tensor_names(self._path.read_bytes()) if WEIGHTS.search(name)]
        if not names:
            return None
        inside = Network(self._path, "the feature-connected layer", also=names)
        return np.asarray(np.mean(inside(hands.network_inputs, [hands.present.shape] * len(names), names), axis=0))


def _open(folder: Path) -> Fusion:
    return Layer(folder / FILE)


def teach(lesson: Lesson) -> CrossFitted:
    """Train a layer a fold, and export their mean."""
    from boneage_roi.fusion.layer import cross_fit, export_layer

    committee, distributions = cross_fit(lesson)
    export_layer(committee, lesson.hands, lesson.folder / FILE)
    return CrossFitted(distributions, moments(distributions, lesson.hands.grid)[0])


KIND = Kind((FILE,), _open, teach)
