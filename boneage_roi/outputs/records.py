"""An outcome as one flat record: the names, units and roundings that all outputs share."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from boneage_roi.growth import GROWTH_TABLES, HEIGHT_TABLES, Finding
from boneage_roi.pipeline.batch import Outcome
from boneage_roi.quality.measures import IMAGE_MEASURES
from boneage_roi.regional_models.bones import BONES, unread
from boneage_roi.regions import REGIONS, age_column

BETWEEN_FLAGS = "; "
"""Between the flags in one cell of a table; no flag's text holds it."""

Kind = Literal["text", "number", "list", "ages", "plates", "measures"]


@dataclass(frozen=True)
class Field:
    """One name of a record.

    Attributes:
        name: the key in JSON, and the column in a table.
        kind: text, a number, a list of texts (in a table joined by ``; ``), ages by region or by bone, or measures by
            name (a column each).
        unit: of a number.
        meaning: in a sentence.
        null: when it is null, which a table shows as an empty cell; empty when it never is.
        words: the only texts that it may be.
    """

    name: str
    kind: Kind
    meaning: str
    unit: str = ""
    null: str = ""
    words: tuple[str, ...] = ()


_ALONE = "it was not found, or is one of `plates_uncertain`"
_NO_AGE = "there is no bone age"
_NO_SCORE = "there is no score; `growth_note` says why"
_NO_HEIGHT = "there is no adult height; `height_note` says why where the present height is known"

FIELDS: tuple[Field, ...] = (
    Field("path", "text", "The input, as it was given."),
    Field("status", "text", "What became of it.", words=("ok", "rejected", "error")),
    Field("bone_age_months", "number", "The fused bone age.", "months", _NO_AGE),
    Field("lower", "number", "Lower end of its 90 % prediction interval.", "months", _NO_AGE),
    Field("upper", "number", "Upper end of its 90 % prediction interval.", "months", _NO_AGE),
    Field("sex", "text", "The sex that it was read for.", null="nobody knows it", words=("M", "F")),
    Field("laterality", "text", "Which hand, as the file says.", null="the file says nothing", words=("L", "R")),
    Field("regions", "ages", "The age that each region of the bundle says.", "months", "it was not found"),
    Field(
        "plates", "plates", "The age that each bone says alone: growth plates, digits, carpal block.", "months", _ALONE
    ),
    Field("plates_spread", "plates", "Standard deviation of each of these ages.", "months", _ALONE),
    Field(
        "plates_uncertain",
        "list",
        "The bones that were found and have no age, because alone the bundle's networks are too far off, or because "
        "too little of the digit was found.",
    ),
    Field("plates_far", "list", "The bones whose age is far from those of the others."),
    Field("chronological_age_months", "number", "Age on the day of the radiograph.", "months", "nobody knows it"),
    Field(
        "difference_months",
        "number",
        "Bone age minus chronological age; above 0 is ahead.",
        "months",
        f"{_NO_AGE} or no chronological age",
    ),
    Field("mean_for_age", "number", "Mean bone age of the table's children of this age.", "months", _NO_SCORE),
    Field("sd_for_age", "number", "Standard deviation of their bone ages.", "months", _NO_SCORE),
    Field("normal_lower", "number", "Two standard deviations below the mean.", "months", _NO_SCORE),
    Field("normal_upper", "number", "Two standard deviations above the mean.", "months", _NO_SCORE),
    Field("sds", "number", "Standard deviation score: (bone age - mean) / SD.", "1", _NO_SCORE),
    Field(
        "determination",
        "text",
        "How the bone age stands to the normal range; `indeterminate` without a score.",
        null=_NO_AGE,
        words=("delayed", "normal", "advanced", "indeterminate"),
    ),
    Field("also_possible", "list", "Other determinations that the 90 % interval reaches."),
    Field("growth_table", "text", "The table of means and deviations.", null=_NO_AGE, words=tuple(GROWTH_TABLES)),
    Field("growth_note", "text", "Why there is no score.", null="there is one, or no bone age"),
    Field("height_cm", "number", "Present standing height.", "cm", "nobody knows it"),
    Field("adult_height_cm", "number", "Predicted adult height.", "cm", _NO_HEIGHT),
    Field("adult_height_lower", "number", "The lowest that the bone age's interval gives.", "cm", _NO_HEIGHT),
    Field("adult_height_upper", "number", "The highest that the bone age's interval gives.", "cm", _NO_HEIGHT),
    Field(
        "height_table",
        "text",
        "The table of percent of mature height.",
        null="the present height is not known",
        words=tuple(HEIGHT_TABLES),
    ),
    Field("height_note", "text", "Why there is no adult height, or no range of it.", null="nothing is missing"),
    Field("quality", "text", "What the quality gate says.", null="no image", words=("ok", "warning", "rejected")),
    Field("flags", "list", "What to look at; for a rejected image, why it was rejected."),
    Field("measures", "measures", "What the quality gate judges the image by.", null="no hand was found"),
    Field("message", "text", "Why there is no bone age.", null="there is one"),
    Field("bundle", "text", "Name of the bundle that read it.", null=_NO_AGE),
)
"""Every name of a record, in order."""

TEXTS = tuple(field.name for field in FIELDS if field.kind in ("text", "list"))
"""The columns of a table that hold words."""


def result_columns(regions: Sequence[str]) -> tuple[str, ...]:
    """The columns of a table of bone ages from a bundle with these regions."""
    return tuple(column for field in FIELDS for column in _columns(field, regions))


def bone_column(bone: str) -> str:
    """The column of a table that holds the age of one bone.

    >>> bone_column("MCP2")
    'plate_mcp2'
    """
    return f"plate_{bone.lower()}"


def spread_column(bone: str) -> str:
    """The column of a table that holds the standard deviation of one bone's age.

    >>> spread_column("MCP2")
    'plate_mcp2_spread'
    """
    return f"{bone_column(bone)}_spread"


def measure_column(measure: str) -> str:
    """The column of a table that holds a measure of the image.

    >>> measure_column("noise")
    'measure_noise'
    """
    return f"measure_{measure}"


_COLUMNS: dict[str, Callable[[str], str]] = {
    "regions": age_column,
    "plates": bone_column,
    "plates_spread": spread_column,
    "measures": measure_column,
}
"""The fields that have a column a part in a table, and how it is called."""


def _columns(field: Field, regions: Sequence[str]) -> tuple[str, ...]:
    parts = {"ages": regions, "plates": BONES, "measures": IMAGE_MEASURES}.get(field.kind)
    return (field.name,) if parts is None else tuple(map(_COLUMNS[field.name], parts))


def result_row(outcome: Outcome, regions: Sequence[str]) -> dict[str, Any]:
    """An outcome as a row of :func:`result_columns`: numbers are rounded, what is missing is ""."""
    row: dict[str, Any] = {}
    for name, value in result_record(outcome, regions).items():
        if isinstance(value, dict):
            row |= {_COLUMNS[name](part): number for part, number in value.items()}
        else:
            row[name] = BETWEEN_FLAGS.join(value) if isinstance(value, list) else value
    return {name: "" if cell is None else cell for name, cell in row.items()}


def result_record(outcome: Outcome, regions: Sequence[str]) -> dict[str, Any]:
    """An outcome as plain JSON types: every name of :data:`FIELDS`, in order; what is missing is None."""
    if outcome.record is not None:
        return dict(outcome.record)
    age, finding = outcome.bone_age, finding_of(outcome)
    found = {} if age is None else {reading.region: _rounded(reading.expected_age) for reading in age.readings}
    alone = {} if age is None else {bone.name: bone for bone in age.bones}
    boxes = None if outcome.analysis is None else outcome.analysis.boxes
    values: dict[str, Any] = {
        "path": outcome.item.path,
        "status": outcome.status,
        "sex": outcome.item.sex if age is None else age.sex,
        "laterality": None if outcome.analysis is None else outcome.analysis.radiograph.laterality,
        "regions": {region: found.get(region) for region in regions},
        "plates": {bone: _rounded(alone[bone].months) if bone in alone else None for bone in BONES},
        "plates_spread": {bone: _rounded(alone[bone].spread) if bone in alone else None for bone in BONES},
        "plates_uncertain": [] if age is None or boxes is None else list(unread(boxes, age.bones)),
        "plates_far": [] if age is None else [bone.name for bone in age.bones if bone.far],
        "also_possible": [],
        "quality": _quality(outcome),
        "flags": list(outcome.rejected if age is None else age.flags),
        "measures": _measures(outcome),
        "message": outcome.message or None,
    }
    if finding is not None:
        values |= finding_fields(finding)
    return {field.name: values.get(field.name) for field in FIELDS}


def finding_of(outcome: Outcome) -> Finding | None:
    """What follows from an outcome's bone age; None when it has none."""
    if outcome.bone_age is None:
        return None
    return Finding.of(outcome.bone_age, None if outcome.analysis is None else outcome.analysis.radiograph)


def finding_fields(finding: Finding) -> dict[str, Any]:
    """The part of a record that rests on a bone age alone."""
    age, relation, grown = finding.bone_age, finding.relation, finding.adult_height
    low, high = relation.normal_range or (None, None)
    return {
        "bone_age_months": _rounded(age.months),
        "lower": _rounded(age.lower),
        "upper": _rounded(age.upper),
        "sex": age.sex,
        "chronological_age_months": _rounded(relation.chronological_age_months),
        "difference_months": _rounded(relation.difference_months),
        "mean_for_age": _rounded(relation.mean),
        "sd_for_age": _rounded(relation.sd),
        "normal_lower": _rounded(low),
        "normal_upper": _rounded(high),
        "sds": _rounded(relation.sds),
        "determination": relation.determination,
        "also_possible": list(relation.also_possible),
        "growth_table": relation.table,
        "growth_note": None if relation.reason is None else str(relation.reason),
        "height_cm": _rounded(finding.height_cm),
        "adult_height_cm": _rounded(grown.height_cm if grown else None),
        "adult_height_lower": _rounded(grown.lower_cm if grown else None),
        "adult_height_upper": _rounded(grown.upper_cm if grown else None),
        "height_table": grown and grown.table,
        "height_note": str(grown.reason) if grown and grown.reason else None,
        "bundle": age.bundle,
    }


def record_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a record; a bundle with regions of its own may have more than the known ones."""
    ages = {"type": "object", "additionalProperties": {"type": ["number", "null"]}}
    kinds: dict[Kind, dict[str, Any]] = {
        "text": {"type": "string"},
        "number": {"type": "number"},
        "list": {"type": "array", "items": {"type": "string"}},
        "ages": ages | {"propertyNames": {"enum": list(REGIONS)}},
        "plates": ages | {"required": list(BONES), "propertyNames": {"enum": list(BONES)}},
        "measures": ages | {"required": list(IMAGE_MEASURES), "propertyNames": {"enum": list(IMAGE_MEASURES)}},
    }
    properties = {}
    for field in FIELDS:
        unit = f" In {field.unit}." if field.unit not in ("", "1") else ""
        null = f" Null when {field.null}." if field.null else ""
        described = kinds[field.kind] | {"description": f"{field.meaning}{unit}{null}".replace("`", "")}
        if field.words:
            described["enum"] = [*field.words, *([None] if field.null else [])]
        if field.null and field.kind not in ("ages", "plates", "measures"):
            described["type"] = [described["type"], "null"]
        properties[field.name] = described
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Bone age record",
        "description": "One input of boneage-roi predict, as --json, .json and .jsonl write it.",
        "type": "object",
        "required": list(properties),
        "additionalProperties": False,
        "properties": properties,
    }


def _rounded(value: float | None) -> float | None:
    """Two decimals; what is no number is none, for JSON has no word for it."""
    return None if value is None or not math.isfinite(value) else round(float(value), 2)


def _measures(outcome: Outcome) -> dict[str, float | None]:
    """Four digits each: some are small shares."""
    found = {} if outcome.analysis is None else outcome.analysis.measures
    known = {name: found.get(name, math.nan) for name in IMAGE_MEASURES}
    return {name: float(f"{value:.4g}") if math.isfinite(value) else None for name, value in known.items()}


def _quality(outcome: Outcome) -> str | None:
    """``ok``, ``warning`` when there is something to look at, ``rejected``; None when the input was none."""
    if outcome.bone_age is None:
        return "rejected" if outcome.rejected else None
    return "warning" if outcome.bone_age.flags else "ok"
