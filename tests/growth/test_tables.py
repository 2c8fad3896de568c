"""The reference tables are read whole, name their source, and give nothing outside their range."""

import doctest
import importlib
import pkgutil
from itertools import pairwise
from pathlib import Path

import pytest

import boneage_roi.growth
from boneage_roi.errors import InputError
from boneage_roi.growth import GROWTH_TABLES, HEIGHT_TABLES, GrowthTable, HeightTable, growth_table, height_table
from boneage_roi.growth.tables import Group, check_sex
from boneage_roi.values import Sex

DATA = Path(boneage_roi.growth.__file__).parent / "data"
SEXES: tuple[Sex, ...] = ("M", "F")
GROUPS: tuple[Group, ...] = ("delayed", "average", "advanced")


def lines_of(file: str) -> set[tuple[str, ...]]:
    lines = (DATA / file).read_text(encoding="utf-8").splitlines()
    return {tuple(line.split(",")) for line in lines if line[:1] in SEXES}


def test_growth_tables_hold_every_row_of_their_file() -> None:
    for name, file in GROWTH_TABLES.items():
        table = growth_table(name)
        held = {(s, r.chronological_age, r.mean, r.sd) for s, rows in table.rows.items() for r in rows}
        assert held == {(sex, *(float(number) for number in numbers)) for sex, *numbers in lines_of(file)}
        assert sum(len(rows) for rows in table.rows.values()) == len(held)


def test_height_tables_hold_every_row_of_their_file() -> None:
    for name, file in HEIGHT_TABLES.items():
        table = height_table(name)
        held = {(s, group, r.bone_age, r.percent) for (s, group), rows in table.rows.items() for r in rows}
        assert held == {(s, group, *(float(n) for n in numbers)) for s, group, *numbers in lines_of(file)}
        assert sum(len(rows) for rows in table.rows.values()) == len(held)


def test_the_counts_are_those_that_were_published() -> None:
    growth, height = growth_table("brush-foundation"), height_table("bayley-pinneau")
    assert {sex: len(growth.rows[sex]) for sex in SEXES} == {"M": 24, "F": 23}
    assert sum(len(rows) for rows in height.rows.values()) == 251
    assert {key: height.range(*key) for key in height.rows} == {
        ("M", "delayed"): (72, 156),
        ("M", "average"): (84, 222),
        ("M", "advanced"): (84, 204),
        ("F", "delayed"): (72, 204),
        ("F", "average"): (72, 216),
        ("F", "advanced"): (84, 210),
    }
    assert {sex: growth.range(sex) for sex in SEXES} == {"M": (3, 204), "F": (3, 192)}


def test_every_data_file_is_a_table_that_names_its_source() -> None:
    assert {path.name for path in DATA.glob("*.csv")} == {*GROWTH_TABLES.values(), *HEIGHT_TABLES.values()}
    tables: list[GrowthTable | HeightTable] = [*map(growth_table, GROWTH_TABLES), *map(height_table, HEIGHT_TABLES)]
    assert all(table.title and len(table.source) > 20 for table in tables)
    sources = (DATA / "SOURCES.md").read_text(encoding="utf-8")
    assert all(path.name in sources for path in DATA.glob("*.csv"))


@pytest.mark.parametrize("name", GROWTH_TABLES)
def test_growth_tables_rise(name: str) -> None:
    for rows in growth_table(name).rows.values():
        assert all(a.chronological_age < b.chronological_age and a.mean < b.mean for a, b in pairwise(rows))
        assert all(row.sd > 0 for row in rows)


@pytest.mark.parametrize("name", HEIGHT_TABLES)
def test_percent_of_mature_height_never_falls(name: str) -> None:
    table = height_table(name)
    assert set(table.rows) == {(sex, group) for sex in SEXES for group in GROUPS}
    for rows in table.rows.values():
        assert all(a.bone_age < b.bone_age and a.percent <= b.percent for a, b in pairwise(rows))
        assert all(50 < row.percent <= 100 for row in rows)


def test_percent_of_mature_height_stands_still_twice() -> None:
    table = height_table("bayley-pinneau")
    still = {
        (*key, a.bone_age, b.bone_age)
        for key, rows in table.rows.items()
        for a, b in pairwise(rows)
        if a.percent == b.percent
    }
    assert still == {("F", "average", 192, 195), ("F", "delayed", 195, 198)}


def test_the_more_a_bone_age_is_ahead_the_less_of_the_height_is_reached() -> None:
    table = height_table("bayley-pinneau")
    for sex in SEXES:
        for month in range(60, 240):
            percents = [table.percent(month, sex, group) for group in GROUPS]
            known = [percent for percent in percents if percent is not None]
            assert known == sorted(known, reverse=True)


def test_exact_rows_middles_and_edges() -> None:
    growth = growth_table("brush-foundation")
    row = growth.at(60, "F")
    assert row is not None
    assert (row.mean, row.sd) == (66.21, 11.65)
    row = growth.at(66, "F")  # halfway to 72: 78.5, 10.23
    assert row is not None
    assert [row.mean, row.sd] == [pytest.approx(72.355), pytest.approx(10.94)]
    assert growth.at(2.99, "M") is None
    assert growth.at(3, "M") is not None
    assert growth.at(204, "M") is not None
    assert growth.at(204.01, "M") is None
    assert growth.at(192.01, "F") is None
    height = height_table("bayley-pinneau")
    assert height.percent(82, "F", "average") == 75.1  # girls' rows of 82, 94 and 106 months are no multiples of 3
    assert height.percent(80, "F", "average") == pytest.approx(73.8 + (75.1 - 73.8) / 2)
    assert height.percent(156, "M", "delayed") == 88
    assert height.percent(156.01, "M", "delayed") is None
    assert height.percent(71.99, "F", "delayed") is None
    assert height.percent(72, "F", "delayed") == height_table("bayley-pinneau").rows["F", "delayed"][0].percent


@pytest.mark.parametrize("find", [growth_table, height_table])
def test_a_wrong_name_lists_the_right_ones(find: object) -> None:
    assert callable(find)
    with pytest.raises(InputError, match=r"^'tanner': no such .* table; there is (brush-foundation|bayley-pinneau)$"):
        find("tanner")


def test_a_sex_that_a_table_has_not_is_refused() -> None:
    girls: tuple[Sex, ...] = ("F",)
    check_sex("F", girls, "of girls")
    with pytest.raises(InputError, match=r"^sex 'M': the table of girls has F$"):
        check_sex("M", girls, "of girls")


def test_the_examples_in_the_docstrings() -> None:
    modules = [module.name for module in pkgutil.iter_modules(boneage_roi.growth.__path__, "boneage_roi.growth.")]
    modules.append("boneage_roi.ages")
    results = {name: doctest.testmod(importlib.import_module(name)) for name in modules}
    assert "boneage_roi.growth.atlas" in results
    assert all(result.attempted and not result.failed for result in results.values())
