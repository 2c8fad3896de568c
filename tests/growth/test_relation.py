"""Difference, standard deviation score and determination, against the table by hand."""

import math
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boneage_roi.errors import InputError
from boneage_roi.growth import GROWTH_TABLES, NoValue, Relation, growth_table, relate

Sex = Literal["M", "F"]
sexes = st.sampled_from(["M", "F"])
ages = st.floats(3, 192)
bone_ages = st.floats(0, 239)


def exact(bone_age: float, age: float | None, sex: Sex | None) -> Relation:
    return relate(bone_age, bone_age, bone_age, age, sex)


@pytest.mark.parametrize(
    ("bone_age", "age", "sex", "difference", "sds", "determination"),
    [
        # boys of 120 months: 125.68, 9.79: normal from 106.10 to 145.26
        (125.68, 120, "M", 5.68, 0.0, "normal"),
        (145.26, 120, "M", 25.26, 2.0, "normal"),
        (145.27, 120, "M", 25.27, 2.0010, "advanced"),
        (106.10, 120, "M", -13.90, -2.0, "normal"),
        (106.09, 120, "M", -13.91, -2.0010, "delayed"),
        # girls of 120 months: 125.66, 11.73
        (96, 120, "F", -24, -2.5286, "delayed"),
        # girls of 126 months, halfway to 132 (137.86, 11.94): 131.76, 11.835
        (150, 126, "F", 24, 1.5412, "normal"),
        # first and last rows
        (3.01, 3, "M", 0.01, 0.0, "normal"),
        (5.5, 3, "F", 2.5, 3.4444, "advanced"),
        (180, 204, "M", -24, -2.0084, "delayed"),
        (204.06, 192, "F", 12.06, 2.0, "normal"),
        # ahead of the chronological age, behind the mean of the children of this age: boys of 84: 88.2, 8.91
        (86, 84, "M", 2, -0.2469, "normal"),
    ],
)
def test_by_hand(bone_age: float, age: float, sex: Sex, difference: float, sds: float, determination: str) -> None:
    child = exact(bone_age, age, sex)
    assert child.difference_months == pytest.approx(difference)
    assert child.sds == pytest.approx(sds, abs=1e-4)
    assert child.determination == child.words == determination
    assert (child.also_possible, child.reason) == ((), None)


def test_what_the_result_rests_on_is_in_it() -> None:
    child = exact(130, 120, "M")
    assert (child.bone_age_months, child.chronological_age_months) == (130, 120)
    assert (child.mean, child.sd) == (125.68, 9.79)
    assert child.normal_range == pytest.approx((106.10, 145.26))
    assert (child.table, child.table_range) == ("brush-foundation", (3, 204))
    assert growth_table(child.table).title == "Brush Foundation"


@pytest.mark.parametrize(
    ("interval", "bone_age", "also", "words"),
    [
        ((146, 160), 150, (), "advanced"),
        ((145.26, 160), 150, ("normal",), "advanced, but the 90 % interval includes normal"),
        ((110, 140), 125, (), "normal"),
        ((110, 150), 140, ("advanced",), "normal, but the 90 % interval includes advanced"),
        ((100, 130), 110, ("delayed",), "normal, but the 90 % interval includes delayed"),
        ((90, 110), 100, ("normal",), "delayed, but the 90 % interval includes normal"),
        ((100, 150), 120, ("delayed", "advanced"), "normal, but the 90 % interval includes delayed and advanced"),
    ],
)
def test_the_interval_that_reaches_across_a_limit(
    interval: tuple[float, float], bone_age: float, also: tuple[str, ...], words: str
) -> None:
    child = relate(bone_age, *interval, 120, "M")
    assert (child.also_possible, child.words) == (also, words)


@pytest.mark.parametrize(
    ("age", "sex", "reason", "words"),
    [
        (2.9, "M", NoValue.AGE_BELOW, "the chronological age is below the table's range (3 to 204 months)"),
        (204.1, "M", NoValue.AGE_ABOVE, "the chronological age is above the table's range (3 to 204 months)"),
        (193, "F", NoValue.AGE_ABOVE, "the chronological age is above the table's range (3 to 192 months)"),
        (None, "F", NoValue.AGE, "the chronological age is not known"),
        (120, None, NoValue.SEX, "the sex is not known"),
        (None, None, NoValue.AGE, "the chronological age is not known"),
    ],
)
def test_no_value_and_a_word_why(age: float | None, sex: Sex | None, reason: NoValue, words: str) -> None:
    child = exact(100, age, sex)
    assert (child.sds, child.mean, child.sd, child.normal_range) == (None, None, None, None)
    assert child.determination == "indeterminate"
    assert child.reason == reason
    assert child.words == f"indeterminate: {words}"
    assert child.difference_months == (None if age is None else pytest.approx(100 - age))


@given(sexes, ages, bone_ages, bone_ages)
def test_the_score_rises_with_bone_age(sex: Sex, age: float, one: float, other: float) -> None:
    low, high = (exact(months, age, sex) for months in sorted((one, other)))
    assert low.sds is not None
    assert high.sds is not None
    assert low.sds <= high.sds
    order = ("delayed", "normal", "advanced")
    assert order.index(low.determination) <= order.index(high.determination)


@given(sexes, ages, st.lists(bone_ages, min_size=3, max_size=3))
def test_the_determination_says_what_the_interval_holds(sex: Sex, age: float, months: list[float]) -> None:
    lower, bone_age, upper = sorted(months)
    child = relate(bone_age, lower, upper, age, sex)
    assert child.normal_range is not None
    low, high = child.normal_range
    if abs(bone_age - low) > 1e-6 and abs(bone_age - high) > 1e-6:
        assert (child.determination == "normal") == (low <= bone_age <= high)
    ends = {exact(lower, age, sex).determination, exact(upper, age, sex).determination}
    assert ends <= {child.determination, *child.also_possible}
    assert child.determination not in child.also_possible


@given(sexes, st.floats(0, 1440), bone_ages)
def test_any_age_has_a_score_or_a_reason(sex: Sex, age: float, bone_age: float) -> None:
    child = exact(bone_age, age, sex)
    assert (child.sds is None) == (child.reason is not None) == (child.determination == "indeterminate")
    assert child.sds is None or math.isfinite(child.sds)


@given(sexes, ages)
def test_between_two_ages_of_the_table_the_mean_lies_between_theirs(sex: Sex, age: float) -> None:
    for name in GROWTH_TABLES:
        table = growth_table(name)
        row = table.at(age, sex)
        before = max((r for r in table.rows[sex] if r.chronological_age <= age), key=lambda r: r.chronological_age)
        after = min((r for r in table.rows[sex] if r.chronological_age >= age), key=lambda r: r.chronological_age)
        assert row is not None
        assert before.mean - 1e-9 <= row.mean <= after.mean + 1e-9
        assert min(before.sd, after.sd) - 1e-9 <= row.sd <= max(before.sd, after.sd) + 1e-9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((math.nan, 90, 110, 100, "M"), "bone age nan months, interval 90 to 110: not numbers in order"),
        ((100, 110, 120, 100, "M"), "not numbers in order"),
        ((100, -math.inf, 120, 100, "M"), "not numbers in order"),
        ((100, 90, math.inf, 100, "M"), "not numbers in order"),
        ((-1, -2, 0, 100, "M"), "not numbers in order"),
        ((100, 90, 110, -1, "M"), "chronological age: -1 months; an age lies between 0 and 1440"),
        ((100, 90, 110, math.nan, "M"), "chronological age: nan months"),
        ((100, 90, 110, 100, "X"), "sex 'X': the table Brush Foundation has M and F"),
        ((100, 90, 110, 100, "M", "tanner"), "'tanner': no such growth table; there is brush-foundation"),
    ],
)
def test_a_mistake_is_one_line(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        relate(*arguments)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
