"""Whether a bone age is delayed, normal or advanced for a child's age and sex."""

from dataclasses import dataclass
from typing import Literal

from boneage_roi.ages import check_interval, checked_age
from boneage_roi.growth.tables import NoValue, check_sex, growth_table
from boneage_roi.values import Sex

Determination = Literal["delayed", "normal", "advanced", "indeterminate"]
"""The answers of RadElement set RDES14, "pediatric bone age"."""

NORMAL_SDS = 2.0
"""Within so many standard deviations of the mean a bone age is normal (RDES14)."""

_ORDER: tuple[Determination, ...] = ("delayed", "normal", "advanced")
_ROUNDING = 1e-9  # a bone age typed as the limit itself is normal, whatever the last bit of its score


@dataclass(frozen=True)
class Relation:
    """How a bone age stands to the chronological age. Ages in months.

    Attributes:
        bone_age_months: what was related.
        chronological_age_months: None when it is not known.
        difference_months: bone age minus chronological age; above 0 is ahead. The table has no part in it.
        sds: standard deviation score: (bone age - mean) / sd, where mean and sd are those of the bone age of
            healthy children of the chronological age. The mean is not the chronological age, so near 0 the score
            and the difference may have different signs.
        mean, sd: of the table at the chronological age.
        normal_range: two standard deviations around the mean.
        determination: ``normal`` within the normal range, its ends included; ``indeterminate`` without a value.
        also_possible: other determinations that the 90 % interval of the bone age reaches.
        table: name of the growth table.
        table_range: its first and last chronological age for the sex; None when the sex is not known.
        reason: why there is no score; None when there is one.
    """

    bone_age_months: float
    chronological_age_months: float | None
    difference_months: float | None
    sds: float | None
    mean: float | None
    sd: float | None
    normal_range: tuple[float, float] | None
    determination: Determination
    also_possible: tuple[Determination, ...]
    table: str
    table_range: tuple[float, float] | None
    reason: NoValue | None

    @property
    def words(self) -> str:
        """The determination with what limits it, in English."""
        if self.reason in (NoValue.AGE_BELOW, NoValue.AGE_ABOVE) and self.table_range:
            return f"indeterminate: {self.reason} ({self.table_range[0]:g} to {self.table_range[1]:g} months)"
        if self.reason:
            return f"indeterminate: {self.reason}"
        if self.also_possible:
            return f"{self.determination}, but the 90 % interval includes {' and '.join(self.also_possible)}"
        return self.determination


def relate(
    bone_age_months: float,
    lower: float,
    upper: float,
    chronological_age_months: float | None,
    sex: Sex | None,
    table: str = "brush-foundation",
) -> Relation:
    """Relate a bone age to a chronological age by a growth table.

    Between the table's ages, mean and standard deviation are linear; outside there is no score and ``reason`` says so.

    Args:
        bone_age_months: the bone age.
        lower, upper: its 90 % interval, months.
        chronological_age_months: age on the day of the radiograph, or None.
        sex: "M", "F" or None when nobody knows it.
        table: a name of ``GROWTH_TABLES``.

    Raises:
        InputError: an age is not finite or below 0, the bone age lies outside its interval, or there is no such table.

    Example:
        >>> child = relate(150, 140, 160, 120, "M")  # boys of 120 months: mean 125.68, standard deviation 9.79
        >>> child.difference_months, round(child.sds, 2), child.determination
        (30, 2.48, 'advanced')
        >>> child.words
        'advanced, but the 90 % interval includes normal'
        >>> relate(210, 200, 220, 210, "M").words
        "indeterminate: the chronological age is above the table's range (3 to 204 months)"
    """
    check_interval(bone_age_months, lower, upper)
    growth = growth_table(table)
    age = chronological_age_months
    if age is not None:
        checked_age(age, "chronological age")
    if sex is not None:
        check_sex(sex, growth.rows, growth.title)
    row = growth.at(age, sex) if age is not None and sex is not None else None
    limits = growth.range(sex) if sex is not None else None
    shared = (bone_age_months, age, None if age is None else bone_age_months - age)
    if row is None:
        reason = _reason(age, limits)
        return Relation(*shared, None, None, None, None, "indeterminate", (), table, limits, reason)
    low, here, high = ((months - row.mean) / row.sd for months in (lower, bone_age_months, upper))
    reached = _ORDER[_place(low) : _place(high) + 1]
    determination = _ORDER[_place(here)]
    also = tuple(other for other in reached if other != determination)
    normal = (row.mean - NORMAL_SDS * row.sd, row.mean + NORMAL_SDS * row.sd)
    return Relation(*shared, here, row.mean, row.sd, normal, determination, also, table, limits, None)


def _place(sds: float) -> int:
    """Index in ``_ORDER``."""
    limit = NORMAL_SDS + _ROUNDING
    return 0 if sds < -limit else 2 if sds > limit else 1


def _reason(age: float | None, limits: tuple[float, float] | None) -> NoValue:
    if age is None:
        return NoValue.AGE
    if limits is None:
        return NoValue.SEX
    return NoValue.AGE_BELOW if age < limits[0] else NoValue.AGE_ABOVE
