"""Ages, dates and heights: what people write, and how old a child was."""

import math
import re
from calendar import monthrange
from datetime import MAXYEAR, date

from boneage_roi.errors import InputError

HEIGHTS_CM = (30.0, 250.0)
"""A height outside is a mistake of units."""

OLDEST = 1440
"""Months: a higher age is a mistake."""

DAYS_A_MONTH = 365.25 / 12

_LONGEST = 40  # characters of an age or a date, and of a message that quotes one

_NUMBER = r"(\d+(?:[.,]\d+)?)"
_AGE = re.compile(
    rf"(?:{_NUMBER}\s*(?:y|yrs?|years?))?\s*"
    rf"(?:{_NUMBER}\s*(?:m|mos?|months?|\Z))?\s*"
    rf"(?:{_NUMBER}\s*(?:w|weeks?))?\s*"
    rf"(?:{_NUMBER}\s*(?:d|days?))?",
    re.ASCII | re.IGNORECASE,
)
_DATE = re.compile(r"(\d{4})(-?)(\d{2})\2(\d{2})", re.ASCII)


def parse_age(text: str) -> float:
    """Months of an age as people write it, or as DICOM does (``010Y``, ``124M``, ``052W``, ``003D``).

    A number without a unit is months. Only the last part may have a fraction, and months after years go to 11.
    A week is 7 days, a month of days is 365.25 / 12.

    Raises:
        InputError: it is no age, or above 120 years.

    Example:
        >>> [parse_age(text) for text in ("10y", "10y4m", "124", "124m", "10.5y", "10 years 4 months", "024M")]
        [120.0, 124.0, 124.0, 124.0, 126.0, 124.0, 24.0]
    """
    match = _AGE.fullmatch(text.strip()) if len(text) <= _LONGEST else None
    parts = [part.replace(",", ".") if part else None for part in match.groups()] if match else []
    given = [part for part in parts if part]
    if not given or any("." in part for part in given[:-1]):
        raise InputError(f"{_shown(text)}: not an age; write 10y4m, 10.3y, 124m or 124 (months)")
    years, months, weeks, days = (float(part) if part else 0.0 for part in parts)
    if parts[0] and months >= 12:
        raise InputError(f"{_shown(text)}: not an age; months after years go from 0 to 11")
    return checked_age(12 * years + months + (7 * weeks + days) / DAYS_A_MONTH, _shown(text))


def parse_date(text: str) -> date:
    """A date as ISO 8601 (``2014-03-09``) or DICOM (``20140309``) writes it.

    Raises:
        InputError: it is written in another way, or there is no such day.

    Example:
        >>> parse_date("2014-03-09") == parse_date("20140309") == date(2014, 3, 9)
        True
    """
    match = _DATE.fullmatch(text.strip())
    if not match:
        raise InputError(f"{_shown(text)}: not a date; write 2014-03-09 or 20140309")
    try:
        return date(*(int(part) for part in match.group(1, 3, 4)))
    except ValueError:
        raise InputError(f"{_shown(text)}: there is no such day") from None


def chronological_age(birth_date: date, study_date: date) -> float:
    """Age in months on the day of a study.

    The whole calendar months completed, and of the month that runs the share of its days that are completed. A month
    runs from the day of birth in one month to that day in the next; where a month is too short, to its last day. So
    a birthday is a whole number, and each day adds to the age.

    Raises:
        InputError: the study lies before the birth, or more than 120 years after it.

    Example:
        >>> chronological_age(date(2004, 2, 10), date(2014, 6, 10))
        124.0
        >>> chronological_age(date(2004, 2, 10), date(2014, 6, 25))  # 15 of the 30 days to 10 July
        124.5
    """
    if study_date.toordinal() < birth_date.toordinal():
        raise InputError(f"study date {study_date.isoformat()}: before the birth date {birth_date.isoformat()}")
    if study_date.year == MAXYEAR:
        raise InputError(f"study date {study_date.isoformat()}: a placeholder, not a date")
    months = 12 * (study_date.year - birth_date.year) + study_date.month - birth_date.month
    if study_date.toordinal() < _monthly_birthday(birth_date, months):
        months -= 1
    last, following = _monthly_birthday(birth_date, months), _monthly_birthday(birth_date, months + 1)
    age = months + (study_date.toordinal() - last) / (following - last)
    return checked_age(age, f"birth date {birth_date.isoformat()}, study date {study_date.isoformat()}")


def checked_age(months: float, what: str) -> float:
    """The age itself.

    Raises:
        InputError: it is not a number from 0 to 1440; the message begins with ``what``.
    """
    if not 0 <= months <= OLDEST:
        raise InputError(f"{what}: {months:g} months; an age lies between 0 and {OLDEST} (120 years)")
    return months


def checked_height(height_cm: float) -> float:
    """The height itself, in cm.

    Raises:
        InputError: it is not a number from 30 to 250.
    """
    low, high = HEIGHTS_CM
    if not low <= height_cm <= high:
        raise InputError(f"height {height_cm:g}: centimetres between {low:g} and {high:g} are needed")
    return height_cm


def check_interval(bone_age: float, lower: float, upper: float) -> None:
    """Raise InputError when a bone age and its interval (months) are no finite numbers in order, or it is below 0."""
    if not (bone_age >= 0 and lower <= bone_age <= upper and math.isfinite(lower) and math.isfinite(upper)):
        raise InputError(f"bone age {bone_age:g} months, interval {lower:g} to {upper:g}: not numbers in order")


def _monthly_birthday(birth_date: date, months: int) -> int:
    """Ordinal of the day on which a child is so many months old."""
    years, month = divmod(birth_date.month - 1 + months, 12)
    year = birth_date.year + years
    return date(year, month + 1, min(birth_date.day, monthrange(year, month + 1)[1])).toordinal()


def _shown(text: str) -> str:
    return repr(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}...")
