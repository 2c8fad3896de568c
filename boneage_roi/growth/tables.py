"""Reference tables: what healthy children of an age have, as it was published.

One CSV file a table in ``data/``, with its title and source in its head; ``data/SOURCES.md`` says how they were
checked. One table more is one file and one entry in a dictionary here.
"""

import csv
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np

from boneage_roi.errors import InputError
from boneage_roi.values import Sex

Group = Literal["delayed", "average", "advanced"]
"""How a bone age stands to the chronological age, for adult height."""

GROWTH_TABLES = {"brush-foundation": "brush_foundation.csv"}
"""Name of a growth table to its file in ``data/``."""

HEIGHT_TABLES = {"bayley-pinneau": "bayley_pinneau.csv"}
"""Name of a table of percent of mature height to its file in ``data/``."""

_DATA = Path(__file__).parent / "data"


class NoValue(StrEnum):
    """Why there is no value, in words; the numbers that belong to it are in the result beside it."""

    SEX = "the sex is not known"
    AGE = "the chronological age is not known"
    AGE_BELOW = "the chronological age is below the table's range"
    AGE_ABOVE = "the chronological age is above the table's range"
    BONE_AGE_BELOW = "the bone age is below the table's range"
    BONE_AGE_ABOVE = "the bone age is above the table's range"
    INTERVAL = "the interval of the bone age reaches outside the table"


@dataclass(frozen=True)
class GrowthRow:
    """Bone age of healthy children at one chronological age: mean and standard deviation. All in months."""

    chronological_age: float
    mean: float
    sd: float


@dataclass(frozen=True)
class GrowthTable:
    """Mean and standard deviation of bone age by sex and chronological age.

    Attributes:
        name: its key in ``GROWTH_TABLES``.
        title: as a reader knows it.
        source: the publication.
        rows: of each sex, ages rising.
    """

    name: str
    title: str
    source: str
    rows: Mapping[Sex, tuple[GrowthRow, ...]]

    def range(self, sex: Sex) -> tuple[float, float]:
        """First and last chronological age, months."""
        return self.rows[sex][0].chronological_age, self.rows[sex][-1].chronological_age

    def at(self, chronological_age: float, sex: Sex) -> GrowthRow | None:
        """The row of an age, linearly between the table's ages; None outside its range.

        Example:
            >>> growth_table("brush-foundation").at(126, "M")
            GrowthRow(chronological_age=126, mean=131.5, sd=9.94)
        """
        first, last = self.range(sex)
        if not first <= chronological_age <= last:
            return None
        rows = self.rows[sex]
        ages = [row.chronological_age for row in rows]
        mean = np.interp(chronological_age, ages, [row.mean for row in rows])
        sd = np.interp(chronological_age, ages, [row.sd for row in rows])
        return GrowthRow(chronological_age, float(mean), float(sd))


@dataclass(frozen=True)
class HeightRow:
    """Percent of mature height that is reached at a bone age in months."""

    bone_age: float
    percent: float


@dataclass(frozen=True)
class HeightTable:
    """Percent of mature height by sex, group and bone age.

    Attributes:
        name: its key in ``HEIGHT_TABLES``.
        title: as a reader knows it.
        source: the publication.
        rows: of each sex and group, bone ages rising.
    """

    name: str
    title: str
    source: str
    rows: Mapping[tuple[Sex, Group], tuple[HeightRow, ...]]

    @property
    def sexes(self) -> tuple[Sex, ...]:
        """Those that it has rows of."""
        return tuple(dict.fromkeys(sex for sex, _ in self.rows))

    def range(self, sex: Sex, group: Group) -> tuple[float, float]:
        """First and last bone age, months."""
        return self.rows[sex, group][0].bone_age, self.rows[sex, group][-1].bone_age

    def percent(self, bone_age: float, sex: Sex, group: Group) -> float | None:
        """Percent of mature height, linearly between the table's bone ages; None outside its range.

        Example:
            >>> height_table("bayley-pinneau").percent(120, "M", "average")
            78.4
        """
        first, last = self.range(sex, group)
        if not first <= bone_age <= last:
            return None
        rows = self.rows[sex, group]
        return float(np.interp(bone_age, [row.bone_age for row in rows], [row.percent for row in rows]))


def growth_table(name: str) -> GrowthTable:
    """A growth table by its name in ``GROWTH_TABLES``.

    Raises:
        InputError: no table has the name.

    Example:
        >>> table = growth_table("brush-foundation")
        >>> table.title, table.range("F")
        ('Brush Foundation', (3.0, 192.0))
    """
    return _growth_table(_known(name, "growth table", GROWTH_TABLES))


def height_table(name: str) -> HeightTable:
    """A table of percent of mature height by its name in ``HEIGHT_TABLES``.

    Raises:
        InputError: no table has the name.

    Example:
        >>> height_table("bayley-pinneau").range("M", "delayed")
        (72.0, 156.0)
    """
    return _height_table(_known(name, "height table", HEIGHT_TABLES))


def check_sex(sex: Sex, sexes: Collection[Sex], title: str) -> None:
    """Raise InputError when a table has no rows of a sex."""
    if sex not in sexes:
        raise InputError(f"sex {sex!r}: the table {title} has {' and '.join(sexes)}")


def _known(name: str, what: str, tables: Mapping[str, str]) -> str:
    if name not in tables:
        raise InputError(f"{name!r}: no such {what}; there is {', '.join(tables)}")
    return name


@cache
def _growth_table(name: str) -> GrowthTable:
    head, lines = _read(GROWTH_TABLES[name])
    rows: dict[Sex, tuple[GrowthRow, ...]] = {}
    for line in lines:
        row = GrowthRow(
            *(float(line[key]) for key in ("chronological_age_months", "mean_bone_age_months", "sd_months"))
        )
        sex = _sex(line)
        rows[sex] = (*rows.get(sex, ()), row)
    return GrowthTable(name, head["title"], head["source"], rows)


@cache
def _height_table(name: str) -> HeightTable:
    head, lines = _read(HEIGHT_TABLES[name])
    rows: dict[tuple[Sex, Group], tuple[HeightRow, ...]] = {}
    groups: dict[str, Group] = {"delayed": "delayed", "average": "average", "advanced": "advanced"}
    for line in lines:
        row = HeightRow(float(line["bone_age_months"]), float(line["percent_of_mature_height"]))
        key = _sex(line), groups[line["group"]]
        rows[key] = (*rows.get(key, ()), row)
    return HeightTable(name, head["title"], head["source"], rows)


def _sex(line: Mapping[str, str]) -> Sex:
    return "M" if line["sex"] == "M" else "F"


def _read(file: str) -> tuple[dict[str, str], list[dict[str, str]]]:
    """The ``# key: value`` lines at the head of a file, and its rows."""
    lines = (_DATA / file).read_text(encoding="utf-8").splitlines()
    head = [line[1:].split(":", 1) for line in lines if line.startswith("#")]
    rows = csv.DictReader(line for line in lines if not line.startswith("#"))
    return {key.strip(): value.strip() for key, value in head}, list(rows)
