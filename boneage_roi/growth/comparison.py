"""Several studies of one child: how fast the bones matured."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby, pairwise

from boneage_roi.ages import DAYS_A_MONTH, check_interval, checked_age
from boneage_roi.errors import InputError


@dataclass(frozen=True)
class Study:
    """A bone age with its 90 % interval, and when: a date, a chronological age or both. Ages in months."""

    bone_age_months: float
    lower: float
    upper: float
    study_date: date | None = None
    chronological_age_months: float | None = None


@dataclass(frozen=True)
class Change:
    """From one study to a later one.

    Attributes:
        first, last: the two studies.
        elapsed_months: change in chronological age.
        change_months: change in bone age.
        lower, upper: 90 % interval of the change in bone age, months.
    """

    first: Study
    last: Study
    elapsed_months: float
    change_months: float
    lower: float
    upper: float

    @property
    def rate(self) -> float:
        """Change in bone age over change in chronological age: years of bone age a year. 1 keeps pace."""
        return self.change_months / self.elapsed_months

    @property
    def rate_interval(self) -> tuple[float, float]:
        """90 % interval of the rate."""
        return self.lower / self.elapsed_months, self.upper / self.elapsed_months

    @property
    def words(self) -> str:
        """The change and its rate, in English."""
        low, high = self.rate_interval
        return (
            f"{self.change_months:+.1f} months of bone age in {self.elapsed_months:.1f} months: "
            f"{self.rate:.2f} years a year (90 % interval {low:.2f} to {high:.2f})"
        )


@dataclass(frozen=True)
class Comparison:
    """Studies of one child in order of time.

    Attributes:
        studies: those of one day made one.
        changes: from each study to the next; empty when there is one study.
        overall: from the first to the last; None when there is one study.
    """

    studies: tuple[Study, ...]
    changes: tuple[Change, ...]
    overall: Change | None


def compare(studies: Iterable[Study]) -> Comparison:
    """Put studies of one child in order, and say how bone age changed between them.

    Time goes by the dates when every study has one (a month is 365.25 / 12 days), else by the chronological ages.
    Studies of one day, as of the left and the right hand, are one: bone age and both ends of the interval are the
    means, because the errors of two hands of one child are taken to be the same. Without dates, studies of one age
    are one.

    The uncertainty of a change takes the errors of two days as independent: each end of its interval is as far away as
    the root of the sum of the squared distances of the two studies' ends (Zou GY, Donner A. Construction of confidence
    limits about effect measures. Stat Med 2008;27:1693-1702). An error that is the same at every visit of a child
    cancels out of a change, so the interval is rather too wide than too narrow.
    Time is taken as exact.

    Raises:
        InputError: there is no study, a study has no time, or a number is not one.

    Example:
        >>> first = Study(100, 90, 110, date(2020, 1, 1))
        >>> last = Study(124, 114, 134, date(2021, 1, 1))
        >>> compare([last, first]).overall.words
        '+24.0 months of bone age in 12.0 months: 2.00 years a year (90 % interval 0.82 to 3.17)'
    """
    given = list(studies)
    if not given:
        raise InputError("comparison: no study is given")
    for study in given:
        check_interval(study.bone_age_months, study.lower, study.upper)
        if study.chronological_age_months is not None:
            checked_age(study.chronological_age_months, "chronological age")
    timed = sorted(zip(_times(given), given, strict=True), key=lambda pair: pair[0])
    days = [(time, _merged([study for _, study in same])) for time, same in groupby(timed, key=lambda pair: pair[0])]
    changes = tuple(_change(first, last) for first, last in pairwise(days))
    overall = _change(days[0], days[-1]) if changes else None
    return Comparison(tuple(study for _, study in days), changes, overall)


def _times(studies: Sequence[Study]) -> list[float]:
    """Months of each study on one axis."""
    dates = [study.study_date for study in studies if study.study_date is not None]
    if len(dates) == len(studies):
        return [day.toordinal() / DAYS_A_MONTH for day in dates]
    ages = [study.chronological_age_months for study in studies if study.chronological_age_months is not None]
    if len(ages) < len(studies):
        raise InputError("comparison: every study needs a date, or every study a chronological age")
    return ages


def _merged(studies: Sequence[Study]) -> Study:
    ages = [study.chronological_age_months for study in studies if study.chronological_age_months is not None]
    return Study(
        _mean([study.bone_age_months for study in studies]),
        _mean([study.lower for study in studies]),
        _mean([study.upper for study in studies]),
        next((study.study_date for study in studies if study.study_date is not None), None),
        _mean(ages) if ages else None,
    )


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _change(first: tuple[float, Study], last: tuple[float, Study]) -> Change:
    (start, before), (end, after) = first, last
    change = after.bone_age_months - before.bone_age_months
    below = math.hypot(after.bone_age_months - after.lower, before.upper - before.bone_age_months)
    above = math.hypot(after.upper - after.bone_age_months, before.bone_age_months - before.lower)
    return Change(before, after, end - start, change, change - below, change + above)
