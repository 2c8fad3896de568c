"""The region-based feature-connected layer: a committee of the layers that cross-fitting trained."""

from pathlib import Path

from boneage_roi.fusion.features import HandReadings, moments
from boneage_roi.fusion.kind import CrossFitted, Fusion, Kind, Lesson
from boneage_roi.onnx_session import Network
from boneage_roi.values import FloatArray

FILE = "rb_fcl.onnx"


class Layer:
    """The exported committee."""

    def __init__(self, path: Path) -> None:
        self._network = Network(path, "the feature-connected layer")

    def __call__(self, hands: HandReadings) -> tuple[FloatArray, FloatArray]:
        (fused,) = self._network(hands.network_inputs, [(len(hands), hands.grid.bins)])
        return fused, moments(fused, hands.grid)[0]


def _open(folder: Path) -> Fusion:
    return Layer(folder / FILE)


def teach(lesson: Lesson) -> CrossFitted:
    """Train a layer a fold, and export their mean."""
    from boneage_roi.fusion.layer import cross_fit, export_layer

    committee, distributions = cross_fit(lesson)
    export_layer(committee, lesson.hands, lesson.folder / FILE)
    return CrossFitted(distributions, moments(distributions, lesson.hands.grid)[0])


KIND = Kind((FILE,), _open, teach)
