"""The JSON of a reading."""

from typing import Any

from boneage_roi.growth import adult_height, relate
from boneage_roi.pipeline.reader import BoneAgeReader
from boneage_roi.service.options import Options
from boneage_roi.service.reading import Result
from boneage_roi.service.views import distributions, geometry, pictures
from boneage_roi.values import BoneAge


def reading_json(reader: BoneAgeReader, result: Result, options: Options) -> dict[str, Any]:
    """A reading as plain JSON types, with what was asked for beside it."""
    start = {} if result.bone_age is None else _record(result.bone_age, options)
    return start | extras(reader, result, options)


def extras(reader: BoneAgeReader, result: Result, options: Options) -> dict[str, Any]:
    """What ``include`` asks for."""
    more: dict[str, Any] = {}
    if "geometry" in options.include:
        more["geometry"] = geometry(result.analysis)
    if "distributions" in options.include and result.bone_age is not None:
        grid = reader.bundle.manifest.age_grid
        more["age_grid"] = {"bins": grid.bins, "width_months": grid.width}
        more["distributions"] = distributions(result.bone_age)
    if "pictures" in options.include:
        more["pictures"] = pictures(reader, result.analysis)
    return more


def _record(age: BoneAge, options: Options) -> dict[str, Any]:
    relation = relate(age.months, age.lower, age.upper, age.chronological_age, age.sex)
    return age.to_dict() | {
        "difference_months": relation.difference_months,
        "sds": relation.sds,
        "determination": relation.determination,
    }
