"""Age map: the estimate of the whole-hand network at every place, a fully convolutional reading of it.

The network averages its last feature maps over the hand and makes an age of the mean. Here the same head makes an age
of the mean about each place, as Spampinato et al. look at what a network sees (Medical Image Analysis 2017;36:41-51);
with a window over the whole hand it is the network's own age. Only tensors inside the exported network are used.
"""

import cv2
import numpy as np

from boneage_roi.errors import InputError
from boneage_roi.explain.explanation import Explanation
from boneage_roi.explain.places import hand_in_frame, on_frame
from boneage_roi.pipeline.reader import BoneAgeReader
from boneage_roi.regional_models.runtime import RegionReader
from boneage_roi.regions import REGIONS
from boneage_roi.values import Analysis, BoneAge, FloatArray, Sex

WINDOW = 0.12
"""Standard deviation of the window about a place, as a share of the map's height."""

FEATURE_MAPS = "/expand/expand.2/Clip_output_0"
BEFORE, AFTER = "/features/features.1/Gemm_output_0", "/age/Gemm_output_0"
"""The feature vector before its ReLU, and the ages' logits."""
MIX, AGES = "features.1.weight", "age.weight"
OUTPUT = "age_map"
"""What a network gives out that reads every place itself (BoNet)."""
NAMES = (FEATURE_MAPS, BEFORE, AFTER, MIX, AGES)


def age_map(reader: BoneAgeReader, analysis: Analysis, bone_age: BoneAge, sex: Sex) -> Explanation:
    """The map ``difference``: months by which a place reads older than the network's own age; NaN outside the hand.

    Raises:
        InputError: the bundle has no whole-hand network, or one that cannot be read at places.
    """
    whole = [network for region, network in reader.readers.items() if REGIONS[region].whole]
    if whole and OUTPUT in whole[0].tensors:
        crops = whole[0].crops(analysis.frame, list(analysis.boxes))
        assert crops is not None  # the whole hand is always there
        found, distribution = whole[0].inside([crops], sex, [OUTPUT, "distribution"])
        own = float(distribution[0] @ reader.bundle.manifest.age_grid.months)
        return _explained(whole[0], analysis, bone_age, found[0] - own)
    if not whole or not set(NAMES) <= set(whole[0].tensors):
        name = reader.bundle.manifest.name
        raise InputError(f"the bundle {name!r} has no whole-hand network that can be read at every place")
    ages, own = place_ages(whole[0], analysis, sex)
    return _explained(whole[0], analysis, bone_age, ages[None] - own)


def _explained(network: RegionReader, analysis: Analysis, bone_age: BoneAge, differences: FloatArray) -> Explanation:
    """The explanation of months (1, h, w) by which places of the whole-hand crop read older."""
    laid = on_frame(network, analysis, differences.astype(np.float32))
    difference = np.where(hand_in_frame(analysis), laid, np.float32(np.nan))
    return Explanation("age-map", analysis, bone_age, {"difference": difference}, "months", signed=True)


def place_ages(network: RegionReader, analysis: Analysis, sex: Sex, window: float = WINDOW) -> tuple[FloatArray, float]:
    """Ages in months at the places of the network's last feature maps (h, w), and the network's own age.

    Args:
        window: see :data:`WINDOW`; a large one gives the network's own age everywhere.
    """
    crops = network.crops(analysis.frame, list(analysis.boxes))
    assert crops is not None  # the whole hand is always there
    maps, before, logits, mix, ages = network.inside([crops], sex, NAMES)
    channels, height, width = maps[0].shape
    sigma = window * height
    weight = cv2.GaussianBlur(np.ones((height, width), np.float32), (0, 0), sigma, borderType=cv2.BORDER_CONSTANT)
    local = [cv2.GaussianBlur(plane, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT) / weight for plane in maps[0]]
    change = np.stack(local).reshape(channels, -1) - maps[0].mean((1, 2))[:, None]
    vectors = np.maximum(before[0][:, None] + mix[:, :channels] @ change, 0)
    scores = logits[0][:, None] + ages @ (vectors - np.maximum(before[0], 0)[:, None])
    return network.expected(scores.T).reshape(height, width), float(network.expected(logits)[0])
