"""Adult height by Bayley and Pinneau, against the tables by hand."""

import math
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boneage_roi.errors import InputError
from boneage_roi.growth import NoValue, adult_height, height_table

Sex = Literal["M", "F"]
sexes = st.sampled_from(["M", "F"])


@pytest.mark.parametrize(
    ("height", "bone_age", "age", "sex", "group", "percent", "adult"),
    [
        # the same boy's bone age of 120 months in each group: 78.4, 74.7, 81.2
        (140, 120, 120, "M", "average", 78.4, 178.571),
        (140, 120, 108, "M", "advanced", 74.7, 187.416),  # 12 months ahead
        (140, 120, 108.1, "M", "average", 78.4, 178.571),
        (140, 120, 132, "M", "delayed", 81.2, 172.414),  # 12 months behind
        (140, 120, 131.9, "M", "average", 78.4, 178.571),
        # girls: 156 months: average 95.8, advanced 94.5, delayed 96.4
        (155, 156, 150, "F", "average", 95.8, 161.795),
        (155, 156, 140, "F", "advanced", 94.5, 164.021),
        (155, 156, 170, "F", "delayed", 96.4, 160.788),
        # between rows: girls, average, 118 months: 85.3 + 0.9 / 3; boys, delayed, 73 months: 68 + 1 / 3
        (140, 118, 120, "F", "average", 85.6, 163.551),
        (110, 73, 90, "M", "delayed", 68.3333, 160.976),
        # first and last rows
        (120, 84, 84, "M", "average", 69.5, 172.662),
        (180, 222, 216, "M", "average", 100, 180.0),
        (165, 204, 220, "F", "delayed", 100, 165.0),
        (160, 156, 170, "M", "delayed", 88, 181.818),
    ],
)
def test_by_hand(
    height: float, bone_age: float, age: float, sex: Sex, group: str, percent: float, adult: float
) -> None:
    child = adult_height(height, bone_age, age, sex)
    assert child.group == group
    assert child.percent_of_mature_height == pytest.approx(percent, abs=1e-4)
    assert child.height_cm == pytest.approx(adult, abs=1e-3)
    assert (child.lower_cm, child.upper_cm, child.reason) == (None, None, None)
    assert child.words == f"{adult:.1f} cm"


def test_the_method_and_its_scale_are_named() -> None:
    child = adult_height(140, 120, 120, "M")
    assert child.method == "Bayley-Pinneau (for Greulich-Pyle bone age)"
    assert (child.table, child.table_range) == ("bayley-pinneau", (84, 222))


@pytest.mark.parametrize(
    ("bone_age", "age", "sex", "reason", "words"),
    [
        (156.1, 170, "M", NoValue.BONE_AGE_ABOVE, "the bone age is above the table's range (72 to 156 months)"),
        (83.9, 84, "M", NoValue.BONE_AGE_BELOW, "the bone age is below the table's range (84 to 222 months)"),
        (71.9, 72, "F", NoValue.BONE_AGE_BELOW, "the bone age is below the table's range (72 to 216 months)"),
        (204.1, 190, "M", NoValue.BONE_AGE_ABOVE, "the bone age is above the table's range (84 to 204 months)"),
        (210.1, 190, "F", NoValue.BONE_AGE_ABOVE, "the bone age is above the table's range (84 to 210 months)"),
        (120, None, "F", NoValue.AGE, "the chronological age is not known"),
        (120, 120, None, NoValue.SEX, "the sex is not known"),
    ],
)
def test_no_height_and_a_word_why(
    bone_age: float, age: float | None, sex: Sex | None, reason: NoValue, words: str
) -> None:
    child = adult_height(150, bone_age, age, sex, lower=bone_age - 5, upper=bone_age + 5)
    assert (child.height_cm, child.lower_cm, child.upper_cm, child.percent_of_mature_height) == (None,) * 4
    assert (child.reason, child.words) == (reason, f"no adult height: {words}")


def test_the_range_follows_the_interval_and_the_group_at_each_of_its_ends() -> None:
    within = adult_height(140, 120, 120, "M", lower=114, upper=126)  # average throughout: 76.9 to 79.5
    assert [within.lower_cm, within.upper_cm] == [pytest.approx(140 / 0.795), pytest.approx(140 / 0.769)]
    # up to 132 average (80.4 there), from there advanced (76.7 at 132, 78.6 at 138): least 76.9, most 80.4
    across = adult_height(140, 126, 120, "M", lower=114, upper=138)
    assert [across.lower_cm, across.upper_cm] == [pytest.approx(140 / 0.804), pytest.approx(140 / 0.767)]
    assert across.words == "176.1 cm (174.1 to 182.5)"
    # the end itself, 12 months ahead, is advanced
    reaching = adult_height(140, 126, 120, "M", lower=114, upper=132)
    assert [reaching.lower_cm, reaching.upper_cm] == [pytest.approx(140 / 0.804), pytest.approx(140 / 0.767)]


def test_an_interval_that_leaves_the_table_gives_a_height_without_a_range() -> None:
    child = adult_height(120, 86, 86, "M", lower=80, upper=92)
    assert child.height_cm == pytest.approx(120 / (0.695 + 2 / 3 * 0.007))
    assert (child.lower_cm, child.upper_cm, child.reason) == (None, None, NoValue.INTERVAL)
    assert child.words == "171.5 cm; no range: the interval of the bone age reaches outside the table"
    behind = adult_height(160, 165, 172, "M", lower=155, upper=175)  # below 160 months delayed, which ends at 156
    assert behind.height_cm is not None
    assert behind.reason == NoValue.INTERVAL


@given(sexes, st.floats(60, 240), st.floats(60, 230), st.floats(60, 230))
def test_within_a_group_more_bone_age_never_means_more_height(sex: Sex, age: float, one: float, other: float) -> None:
    low, high = (adult_height(140, months, age, sex) for months in sorted((one, other)))
    if low.group == high.group and low.height_cm is not None and high.height_cm is not None:
        assert low.height_cm >= high.height_cm


@given(sexes, st.floats(60, 230), st.lists(st.floats(60, 230), min_size=4, max_size=4))
def test_the_range_holds_the_height_of_every_bone_age_in_the_interval(
    sex: Sex, age: float, months: list[float]
) -> None:
    lower, bone_age, other, upper = sorted(months)
    child = adult_height(140, bone_age, age, sex, lower=lower, upper=upper)
    if child.lower_cm is None or child.upper_cm is None or child.height_cm is None:
        assert child.reason is not None
        return
    elsewhere = adult_height(140, other, age, sex)
    assert elsewhere.height_cm is not None
    for height in (child.height_cm, elsewhere.height_cm):
        assert child.lower_cm - 1e-6 <= height <= child.upper_cm + 1e-6


@pytest.mark.parametrize("age", [108, 120, 132])
def test_an_interval_of_no_width_gives_a_range_of_no_width(age: float) -> None:
    child = adult_height(140, 120, age, "M", lower=120, upper=120)
    assert child.lower_cm == child.height_cm == child.upper_cm


@given(sexes, st.floats(0, 300), st.floats(0, 239))
def test_an_adult_is_never_smaller_than_the_child(sex: Sex, age: float, bone_age: float) -> None:
    child = adult_height(140, bone_age, age, sex)
    assert (child.height_cm is None) == (child.reason is not None)
    assert child.height_cm is None or 140 <= child.height_cm < 220


def test_every_row_of_the_table_is_reached() -> None:
    table, ages = height_table("bayley-pinneau"), {"delayed": 24, "average": 0, "advanced": -24}
    for (sex, group), rows in table.rows.items():
        for row in rows:
            child = adult_height(100, row.bone_age, row.bone_age + ages[group], sex)
            assert child.height_cm == pytest.approx(10_000 / row.percent)


@pytest.mark.parametrize(
    ("arguments", "interval", "message"),
    [
        ((1.4, 120, 120, "M"), {}, r"^height 1\.4: centimetres between 30 and 250 are needed$"),
        ((math.nan, 120, 120, "M"), {}, "height nan"),
        ((140, math.inf, 120, "M"), {}, "not numbers in order"),
        ((140, 120, -3, "M"), {}, "chronological age: -3 months"),
        ((140, 120, 120, "X"), {}, "sex 'X': the table Bayley-Pinneau has M and F"),
        ((140, 120, 120, "M"), {"lower": 110}, "interval of the bone age: both ends are needed, or neither"),
        ((140, 120, 120, "M"), {"lower": 125, "upper": 130}, "not numbers in order"),
        ((140, 120, 120, "M"), {"table": "tanner"}, "no such height table; there is bayley-pinneau"),
    ],
)
def test_a_mistake_is_one_line(arguments: tuple[object, ...], interval: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        adult_height(*arguments, **interval)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
