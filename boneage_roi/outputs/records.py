"""An outcome as a row of a table and as a JSON object: the names and roundings that all outputs share."""

import math
from collections.abc import Sequence
from typing import Any

from boneage_roi.pipeline.batch import Outcome
from boneage_roi.regions import age_column
from boneage_roi.values import BoneAge

BETWEEN_FLAGS = "; "
"""Between the flags in one cell of a table; no flag's text holds it."""


def result_columns(regions: Sequence[str]) -> tuple[str, ...]:
    """The columns of a table of bone ages from a bundle with these regions."""
    ages = (age_column(region) for region in regions)
    return ("path", "status", "bone_age_months", "lower", "upper", "sex", *ages, "quality", "flags", "message")


def result_row(outcome: Outcome, regions: Sequence[str]) -> dict[str, Any]:
    """An outcome as a row of :func:`result_columns`; ages are months with two decimals, what is missing is ""."""
    record = result_record(outcome, regions)
    row = {age_column(region): age for region, age in record.pop("regions", {}).items()} | record
    row["flags"] = BETWEEN_FLAGS.join(record["flags"])
    row["sex"] = row.get("sex") or outcome.item.sex
    cells = {name: row.get(name) for name in result_columns(regions)}
    return {name: "" if cell is None else cell for name, cell in cells.items()}


def result_record(outcome: Outcome, regions: Sequence[str]) -> dict[str, Any]:
    """An outcome as plain JSON types.

    Returns:
        ``path``, ``status`` (``ok``, ``rejected`` or ``error``), ``quality`` (``ok``, ``warning``, ``rejected`` or ""),
        ``flags`` (a list). With a bone age: ``bone_age_months``, ``lower``, ``upper``, ``sex``, ``regions`` (the age
        that each says, null where it was not found), all ages in months, and ``bundle``. Without: ``message``.
    """
    age = outcome.bone_age
    start = {"path": outcome.item.path, "status": outcome.status, "quality": _quality(outcome)}
    if age is None:
        return start | {"flags": list(outcome.rejected), "message": outcome.message}
    return start | {
        "bone_age_months": _months(age.months),
        "lower": _months(age.lower),
        "upper": _months(age.upper),
        "sex": age.sex,
        "regions": _region_ages(age, regions),
        "flags": list(age.flags),
        "bundle": age.bundle,
    }


def _region_ages(age: BoneAge, regions: Sequence[str]) -> dict[str, float | None]:
    found = {str(reading.region): _months(reading.expected_age) for reading in age.readings}
    return {str(region): found.get(str(region)) for region in regions}


def _months(value: float) -> float | None:
    """Two decimals; what is no number is none, for JSON has no word for it."""
    return round(float(value), 2) if math.isfinite(value) else None


def _quality(outcome: Outcome) -> str:
    """``ok``, ``warning`` when there is something to look at, ``rejected``; nothing when the input was none."""
    if outcome.bone_age is None:
        return "rejected" if outcome.rejected else ""
    return "warning" if outcome.bone_age.flags else "ok"
