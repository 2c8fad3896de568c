"""The mean of the regions' age distributions; learns nothing."""

from pathlib import Path

from boneage_roi.fusion.features import HandReadings, moments
from boneage_roi.fusion.kind import CrossFitted, Fusion, Kind, Lesson
from boneage_roi.values import FloatArray


def shares(hands: HandReadings) -> FloatArray:
    """(N, R): all regions that were found count alike."""
    alike: FloatArray = hands.present / hands.present.sum(1, keepdims=True)
    return alike


def mean_distribution(hands: HandReadings) -> FloatArray:
    """The mean distribution (N, bins) of the regions that were found."""
    mean: FloatArray = (shares(hands)[..., None] * hands.distributions).sum(1)
    return mean


def fuse(hands: HandReadings) -> tuple[FloatArray, FloatArray]:
    """The mean distributions and their means."""
    fused = mean_distribution(hands)
    return fused, moments(fused, hands.grid)[0]


class Mean:
    """The regions that were found, all alike."""

    def __call__(self, hands: HandReadings) -> tuple[FloatArray, FloatArray]:
        return fuse(hands)

    def weights(self, hands: HandReadings) -> FloatArray:
        """See :class:`boneage_roi.fusion.kind.Weighing`."""
        return shares(hands)


def _open(folder: Path) -> Fusion:
    return Mean()


def _teach(lesson: Lesson) -> CrossFitted:
    return CrossFitted(*fuse(lesson.hands))


KIND = Kind((), _open, _teach)
