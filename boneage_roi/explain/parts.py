"""Parts: what each region does to the fused age: its own age, its weight, and what the age would be without it."""

import re
from collections.abc import Sequence

import numpy as np

from boneage_roi.explain.explanation import Explanation
from boneage_roi.fusion.features import stack_readings
from boneage_roi.onnx_check import tensor_names
from boneage_roi.onnx_session import Network
from boneage_roi.pipeline.reader import BoneAgeReader
from boneage_roi.values import Analysis, BoneAge, RegionReading, Sex

LAYER = "rb_fcl.onnx"
WEIGHTS = re.compile(r"(^|/)Softmax_output_0$")
"""The feature-connected layer's weights of the regions, one tensor a member of its committee."""


def parts(reader: BoneAgeReader, analysis: Analysis, bone_age: BoneAge, sex: Sex) -> Explanation:
    """The table of regions: ``age`` and ``spread`` (months), ``weight``, ``without`` (the fused age without the region,
    months) and ``change`` (that minus the fused age).

    ``weight`` is the region's in the feature-connected layer's weighted mean of distributions, mean of its committee;
    they sum to 1, and None says that the bundle's fusion has no such weights. What the layer and the trees add beyond
    the mean is in ``without``. A hand's only region has no ``without``.
    """
    weights = fusion_weights(reader, bone_age.readings, sex)
    table: dict[str, dict[str, float | None]] = {}
    for reading in bone_age.readings:
        others = [other for other in bone_age.readings if other is not reading]
        without = reader.fuse(others, sex)[0] if others else None
        table[reading.region] = {
            "age": reading.expected_age,
            "spread": reading.spread,
            "weight": weights.get(reading.region),
            "without": without,
            "change": None if without is None else without - bone_age.months,
        }
    return Explanation("parts", analysis, bone_age, unit="months", table=table)


def fusion_weights(reader: BoneAgeReader, readings: Sequence[RegionReading], sex: Sex) -> dict[str, float]:
    """The weights that the feature-connected layer gives to regions; empty where a bundle has no such layer."""
    if LAYER not in reader.bundle.manifest.files:
        return {}
    path = reader.bundle.file(LAYER)
    names = [name for name in tensor_names(path.read_bytes()) if WEIGHTS.search(name)]
    if not names:
        return {}
    hands = stack_readings([(readings, sex)], reader.regions, reader.bundle.manifest.age_grid)
    tensors = Network(path, "the fusion", also=names)(hands.network_inputs, [], names)
    if any(tensor.shape != (1, len(reader.regions)) for tensor in tensors):
        return {}
    return dict(zip(reader.regions, np.mean(tensors, axis=0)[0].tolist(), strict=True))
