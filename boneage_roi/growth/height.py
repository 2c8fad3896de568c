"""Adult height from present height and bone age (Bayley and Pinneau, a Greulich-Pyle method)."""

import math
from dataclasses import dataclass

from boneage_roi.ages import check_interval, checked_age, checked_height
from boneage_roi.errors import InputError
from boneage_roi.growth.tables import Group, HeightTable, NoValue, check_sex, height_table
from boneage_roi.values import Sex

GROUP_MONTHS = 12.0
"""A bone age this far ahead of the chronological age, or behind it, has tables of its own."""


@dataclass(frozen=True)
class AdultHeight:
    """Predicted adult height. Heights in cm.

    Attributes:
        height_cm: None when the table has no value.
        lower_cm, upper_cm: the lowest and highest height that a bone age in its 90 % interval would give, each with
            the group that it would be in. None without an interval, or where it reaches outside the table. The error
            of the method itself is not in it.
        percent_of_mature_height: what the child has reached now.
        group: of the table: how the bone age stands to the chronological age.
        method: name of the method and of the scale that the bone age must be on.
        table: name of the table.
        table_range: its first and last bone age for the sex and group, months.
        reason: why there is no height, or no range beside a height; None when nothing is missing.
    """

    height_cm: float | None
    lower_cm: float | None
    upper_cm: float | None
    percent_of_mature_height: float | None
    group: Group | None
    method: str
    table: str
    table_range: tuple[float, float] | None
    reason: NoValue | None

    @property
    def words(self) -> str:
        """The height with its range, or why there is none, in English."""
        if self.height_cm is None:
            limits = "" if self.table_range is None else f" ({self.table_range[0]:g} to {self.table_range[1]:g} months)"
            return f"no adult height: {self.reason}{limits}"
        if self.lower_cm is None or self.upper_cm is None:
            return f"{self.height_cm:.1f} cm" + (f"; no range: {self.reason}" if self.reason else "")
        return f"{self.height_cm:.1f} cm ({self.lower_cm:.1f} to {self.upper_cm:.1f})"


def adult_height(
    height_cm: float,
    bone_age_months: float,
    chronological_age_months: float | None,
    sex: Sex | None,
    *,
    lower: float | None = None,
    upper: float | None = None,
    table: str = "bayley-pinneau",
) -> AdultHeight:
    """Predict adult height: present height / (percent of mature height at the bone age / 100).

    The percent comes from the table of the group: ``advanced`` when the bone age is 12 months or more ahead of the
    chronological age, ``delayed`` when it is 12 months or more behind, else ``average``. Between the table's bone
    ages it is linear; outside there is no height and ``reason`` says so.

    Args:
        height_cm: standing height on the day of the radiograph.
        bone_age_months: on the Greulich-Pyle scale, never Tanner-Whitehouse.
        chronological_age_months: age on that day, or None.
        sex: "M", "F" or None when nobody knows it.
        lower, upper: the 90 % interval of the bone age, months; both or neither.
        table: a name of ``HEIGHT_TABLES``.

    Raises:
        InputError: the height is not between 30 and 250 cm, an age is not finite or below 0, the bone age lies
            outside its interval, or there is no such table.

    Example:
        >>> child = adult_height(140.0, 132, 126, "F", lower=126, upper=138)
        >>> child.group, child.percent_of_mature_height  # girls, average, 132 months
        ('average', 90.6)
        >>> child.words
        '154.5 cm (153.2 to 158.4)'
        >>> adult_height(150, 160, 180, "M").words
        "no adult height: the bone age is above the table's range (72 to 156 months)"
    """
    checked_height(height_cm)
    if (lower is None) != (upper is None):
        raise InputError("interval of the bone age: both ends are needed, or neither")
    interval = (bone_age_months if lower is None else lower, bone_age_months if upper is None else upper)
    check_interval(bone_age_months, *interval)
    heights = height_table(table)
    method = f"{heights.title} (for Greulich-Pyle bone age)"
    if chronological_age_months is not None:
        checked_age(chronological_age_months, "chronological age")
    if sex is not None:
        check_sex(sex, heights.sexes, heights.title)
    if chronological_age_months is None or sex is None:
        missing = NoValue.AGE if chronological_age_months is None else NoValue.SEX
        return AdultHeight(None, None, None, None, None, method, table, None, missing)
    group = _group(bone_age_months - chronological_age_months)
    limits = heights.range(sex, group)
    percent = heights.percent(bone_age_months, sex, group)
    if percent is None:
        outside = NoValue.BONE_AGE_BELOW if bone_age_months < limits[0] else NoValue.BONE_AGE_ABOVE
        return AdultHeight(None, None, None, None, group, method, table, limits, outside)
    predicted = height_cm / (percent / 100)
    if lower is None:
        return AdultHeight(predicted, None, None, percent, group, method, table, limits, None)
    percents = _percents(heights, interval, chronological_age_months, sex)
    if percents is None:
        return AdultHeight(predicted, None, None, percent, group, method, table, limits, NoValue.INTERVAL)
    reached = [percent, *percents]
    low, high = (height_cm / (each / 100) for each in (max(reached), min(reached)))
    return AdultHeight(predicted, low, high, percent, group, method, table, limits, None)


def _group(difference: float) -> Group:
    if difference >= GROUP_MONTHS:
        return "advanced"
    return "delayed" if difference <= -GROUP_MONTHS else "average"


def _percents(
    heights: HeightTable, interval: tuple[float, float], chronological_age: float, sex: Sex
) -> list[float] | None:
    """The percent at both ends of each group's part of an interval; None where one lies outside the table.

    A percent never falls with bone age within a group, so the least and the greatest of the interval are among them.
    """
    behind, ahead = chronological_age - GROUP_MONTHS, chronological_age + GROUP_MONTHS
    parts: tuple[tuple[Group, float, float], ...] = (
        ("delayed", -math.inf, behind),
        ("average", behind, ahead),
        ("advanced", ahead, math.inf),
    )
    found = []
    for group, start, end in parts:
        low, high = max(interval[0], start), min(interval[1], end)
        if low < high or (low == high and group != "average"):  # the limits themselves are not average
            found += [heights.percent(low, sex, group), heights.percent(high, sex, group)]
    known = [percent for percent in found if percent is not None]
    return known if len(known) == len(found) else None
