"""Several studies of one child."""

import math
from datetime import date, timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boneage_roi.errors import InputError
from boneage_roi.growth import Change, Study, compare

MONTH = 365.25 / 12
START = date(2020, 1, 1)


def study(bone_age: float, half: float = 10.0, *, day: date | None = None, age: float | None = None) -> Study:
    return Study(bone_age, bone_age - half, bone_age + half, day, age)


def overall(*studies: Study) -> Change:
    change = compare(studies).overall
    assert change is not None
    return change


def test_a_rate_by_hand() -> None:
    # 24 months of bone age in 12 months; half width 13 = sqrt(5^2 + 12^2)
    change = overall(study(100, 5, age=96), study(124, 12, age=108))
    assert (change.elapsed_months, change.change_months, change.rate) == (12, 24, 2)
    assert (change.lower, change.upper) == pytest.approx((11, 37))
    assert change.rate_interval == pytest.approx((11 / 12, 37 / 12))
    assert change.words == "+24.0 months of bone age in 12.0 months: 2.00 years a year (90 % interval 0.92 to 3.08)"


def test_ends_that_lie_unevenly_are_kept_apart() -> None:
    # up: later upper 3, earlier lower 4, together 5; down: later lower 5, earlier upper 12, together 13
    change = overall(
        Study(100, 96, 112, chronological_age_months=96), Study(124, 119, 127, chronological_age_months=108)
    )
    assert (change.lower, change.upper) == pytest.approx((24 - 13, 24 + 5))


def test_bone_age_that_went_back() -> None:
    change = overall(study(100, age=96), study(97, age=102))
    assert (change.change_months, change.rate) == (-3, -0.5)
    assert change.words.startswith("-3.0 months of bone age in 6.0 months: -0.50 years a year")


def test_studies_come_in_order_whatever_order_they_are_given_in() -> None:
    first, second, third = (study(100 + 6 * k, day=START + timedelta(365 * k)) for k in range(3))
    for given_order in permutations((first, second, third)):
        found = compare(given_order)
        assert found.studies == (first, second, third)
        assert [(change.first, change.last) for change in found.changes] == [(first, second), (second, third)]
        assert found.overall is not None
        assert (found.overall.first, found.overall.last) == (first, third)


def test_two_hands_of_one_day_are_one_study() -> None:
    later = START + timedelta(365)
    left, right = Study(118, 110, 128, later, 132), Study(122, 112, 130, later, 132)
    found = compare([left, study(100, day=START, age=120), right])
    assert found.studies[1] == Study(120, 111, 129, later, 132)
    assert len(found.changes) == 1
    assert found.changes[0].rate == pytest.approx(20 / (365 / MONTH))


def test_without_dates_studies_of_one_age_are_one() -> None:
    found = compare([study(100, age=96), study(104, age=96), study(110, age=108)])
    assert [each.bone_age_months for each in found.studies] == [102, 110]


def test_dates_come_before_ages_that_headers_round_to_years() -> None:
    change = overall(study(100, day=START, age=120), study(106, day=START + timedelta(182), age=120))
    assert change.elapsed_months == pytest.approx(182 / MONTH)


def test_ages_serve_when_a_date_is_missing() -> None:
    change = overall(study(100, day=START, age=120), study(106, age=126))
    assert (change.elapsed_months, change.rate) == (6, 1)


def test_one_study_has_no_change() -> None:
    found = compare([study(100, age=90)])
    assert (found.changes, found.overall) == ((), None)
    assert len(found.studies) == 1


@pytest.mark.parametrize(
    ("studies", "message"),
    [
        ([], "comparison: no study is given"),
        ([study(100)], "comparison: every study needs a date, or every study a chronological age"),
        ([study(100, day=START), study(110, age=90)], "every study needs a date"),
        ([study(math.nan, age=90)], "not numbers in order"),
        ([study(100, -1, age=90)], "not numbers in order"),
        ([study(100, age=math.nan)], "chronological age: nan months"),
    ],
)
def test_a_mistake_is_one_line(studies: list[Study], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        compare(studies)
    assert "\n" not in str(caught.value)


studies_of_a_child = st.lists(
    st.builds(
        lambda bone_age, half, day: study(bone_age, half, day=START + timedelta(day)),
        st.floats(0, 228),
        st.floats(0, 40),
        st.integers(0, 6000),
    ),
    min_size=1,
    max_size=8,
)


@given(studies_of_a_child)
def test_any_studies_add_up(studies: list[Study]) -> None:
    found = compare(studies)
    days = [each.study_date for each in found.studies]
    assert days == sorted({each.study_date for each in studies if each.study_date is not None})
    assert len(found.changes) == len(days) - 1
    for change in found.changes:
        assert change.elapsed_months > 0
        assert change.lower <= change.change_months <= change.upper
        low, high = change.rate_interval
        assert math.isfinite(low)
        assert low <= change.rate <= high
    if found.overall is not None:
        assert found.overall.change_months == pytest.approx(sum(c.change_months for c in found.changes), abs=1e-6)
        assert found.overall.elapsed_months == pytest.approx(sum(c.elapsed_months for c in found.changes))


@given(st.floats(0, 40), st.floats(0, 40))
def test_a_change_is_less_sure_than_either_study_and_surer_than_both_added(one: float, other: float) -> None:
    change = overall(study(100, one, age=96), study(112, other, age=108))
    half = (change.upper - change.lower) / 2
    assert max(one, other) - 1e-9 <= half <= one + other + 1e-9
