"""The JSON of a reading: the record that every output shares, and what was asked for beside it."""

from typing import Any

from boneage_roi.outputs.records import result_record
from boneage_roi.pipeline.batch import Outcome
from boneage_roi.pipeline.reader import BoneAgeReader
from boneage_roi.service.options import Options
from boneage_roi.service.views import bones, distributions, geometry, pictures


def reading_json(reader: BoneAgeReader, outcome: Outcome, options: Options) -> dict[str, Any]:
    """A reading as plain JSON types."""
    return result_record(outcome, reader.regions) | extras(reader, outcome, options)


def extras(reader: BoneAgeReader, outcome: Outcome, options: Options) -> dict[str, Any]:
    """What ``include`` asks for, as far as the outcome has it."""
    more: dict[str, Any] = {}
    if outcome.analysis is None:
        return more
    if "geometry" in options.include:
        more["geometry"] = geometry(outcome.analysis)
        if outcome.bone_age is not None:
            more["bones"] = bones(reader, outcome.analysis, outcome.bone_age, options.include)
    if "distributions" in options.include and outcome.bone_age is not None:
        grid = reader.bundle.manifest.age_grid
        more["age_grid"] = {"bins": grid.bins, "width_months": grid.width}
        more["distributions"] = distributions(outcome.bone_age)
    if "pictures" in options.include:
        more["pictures"] = pictures(reader, outcome.analysis)
    return more
