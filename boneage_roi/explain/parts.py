"""Parts: what each region does to the fused age: its own age, its weight, and what the age would be without it."""

from boneage_roi.explain.explanation import Explanation
from boneage_roi.pipeline.reader import BoneAgeReader
from boneage_roi.values import Analysis, BoneAge, Sex


def parts(reader: BoneAgeReader, analysis: Analysis, bone_age: BoneAge, sex: Sex) -> Explanation:
    """The table of regions: ``age`` and ``spread`` (months), ``weight``, ``without`` (the fused age without the region,
    months) and ``change`` (that minus the fused age).

    ``weight`` says how much of 1 the fused age follows the region's own: its slope in a regression on ages, its weight
    in the feature-connected layer's mean of distributions, averaged over the committee. None says that the bundle's
    fusion cannot tell. What a fusion adds beyond a weighted mean is in ``without``. A hand's only region has no
    ``without``.
    """
    weights = reader.weights(bone_age.readings, sex)
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
