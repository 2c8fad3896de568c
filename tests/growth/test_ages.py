"""Ages and dates as people write them, and the age between two dates."""

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boneage_roi.ages import check_interval, checked_height
from boneage_roi.errors import InputError
from boneage_roi.growth import chronological_age, parse_age, parse_date

MONTH = 365.25 / 12
days = st.dates(date(1900, 1, 1), date(2019, 12, 31))


@pytest.mark.parametrize(
    ("text", "months"),
    [
        ("10y", 120),
        ("10y4m", 124),
        ("10y4", 124),
        ("10 y 4 m", 124),
        ("10Y4M", 124),
        ("10 years 4 months", 124),
        ("1 year 1 month", 13),
        ("2yrs 3mo", 27),
        ("124", 124),
        ("124m", 124),
        (" 124 m ", 124),
        ("124.5", 124.5),
        ("10.3y", 123.6),
        ("10,3y", 123.6),
        ("10y11.5m", 131.5),
        ("0", 0),
        ("120y", 1440),
        ("010Y", 120),
        ("124M", 124),
        ("052W", 364 / MONTH),
        ("003D", 3 / MONTH),
        ("2m 10d", 2 + 10 / MONTH),
        ("1y 3 weeks", 12 + 21 / MONTH),
    ],
)
def test_an_age_as_people_write_it(text: str, months: float) -> None:
    assert parse_age(text) == pytest.approx(months)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'': not an age; write 10y4m, 10.3y, 124m or 124 (months)"),
        ("ten", "not an age"),
        ("-3", "not an age"),
        ("nan", "not an age"),
        ("1e3", "not an age"),
        ("10 4", "not an age"),
        ("10 4w", "not an age"),
        ("4m10y", "not an age"),
        ("10.5y4m", "not an age"),
        ("10.y", "not an age"),
        ("1.2.3", "not an age"),
        ("10y\n4m7", "not an age"),
        ("१y", "not an age"),
        ("1" * 500, "not an age"),
        ("1m" + " " * 100_000 + "x", "not an age"),
        ("10y12m", "'10y12m': not an age; months after years go from 0 to 11"),
        ("10y14m", "'10y14m': not an age; months after years go from 0 to 11"),
        ("121y", "'121y': 1452 months; an age lies between 0 and 1440 (120 years)"),
    ],
)
def test_what_is_no_age_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_age(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 150


@given(st.text(max_size=45) | st.from_regex(r"[0-9ymwd ., -]{0,12}", fullmatch=True))
def test_any_text_is_an_age_or_an_input_error(text: str) -> None:
    try:
        months = parse_age(text)
    except InputError:
        return
    assert 0 <= months <= 1440


@given(st.integers(0, 119), st.integers(0, 11))
def test_years_and_months_add_up(years: int, months: int) -> None:
    written = (f"{years}y{months}m", f"{years} years {months} months", f"{12 * years + months}")
    assert {parse_age(text) for text in written} == {12 * years + months}


@pytest.mark.parametrize("text", ["2014-03-09", "20140309", " 2014-03-09 "])
def test_dates_of_iso_and_dicom(text: str) -> None:
    assert parse_date(text) == date(2014, 3, 9)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("09/03/2014", "'09/03/2014': not a date; write 2014-03-09 or 20140309"),
        ("2014-0309", "not a date"),
        ("201403-09", "not a date"),
        ("2014-3-9", "not a date"),
        ("2014-03-09T10:00", "not a date"),
        ("", "not a date"),
        ("2014030९", "not a date"),
        ("20140231", "'20140231': there is no such day"),
        ("0000-01-01", "there is no such day"),
    ],
)
def test_what_is_no_date_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_date(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("born", "seen", "months"),
    [
        ("2004-02-10", "2004-02-10", 0),
        ("2004-02-10", "2014-02-10", 120),
        ("2004-02-10", "2014-02-09", 119 + 30 / 31),  # 10 January to 9 February: 30 of 31 days
        ("2004-02-10", "2014-06-25", 124.5),
        ("2004-12-31", "2005-01-01", 1 / 31),
        ("2004-01-31", "2005-02-28", 13),  # February has no 31st
        ("2004-01-31", "2005-03-01", 13 + 1 / 31),
        ("2004-02-29", "2005-02-28", 12),
        ("2004-02-29", "2008-02-29", 48),
        ("2004-02-29", "2008-02-28", 47 + 30 / 31),
    ],
)
def test_chronological_age_by_hand(born: str, seen: str, months: float) -> None:
    assert chronological_age(date.fromisoformat(born), date.fromisoformat(seen)) == pytest.approx(months)


def test_a_time_of_day_counts_for_nothing() -> None:
    assert chronological_age(datetime(2004, 2, 10, 23), datetime(2014, 2, 10, 1)) == 120
    assert chronological_age(date(2004, 2, 10), datetime(2014, 2, 10, 1)) == 120


@given(days, st.integers(0, 40_000))
def test_each_day_makes_a_child_older(born: date, later: int) -> None:
    seen = born + timedelta(later)
    age, tomorrow = chronological_age(born, seen), chronological_age(born, seen + timedelta(1))
    assert 1 / 31 - 1e-9 <= tomorrow - age <= 1 / 28 + 1e-9
    assert age == pytest.approx(later / MONTH, abs=0.1)


@given(days, st.integers(1, 119))
def test_a_birthday_is_a_whole_number(born: date, years: int) -> None:
    leap = born.month == 2 and born.day == 29
    assert chronological_age(born, date(born.year + years, born.month, 28 if leap else born.day)) == (
        pytest.approx(12 * years, abs=1 / 28) if leap else 12 * years
    )


@pytest.mark.parametrize(
    ("born", "seen", "message"),
    [
        ("2014-02-10", "2014-02-09", "^study date 2014-02-09: before the birth date 2014-02-10$"),
        (
            "1850-01-01",
            "2014-02-09",
            "^birth date 1850-01-01, study date 2014-02-09: .* an age lies between 0 and 1440",
        ),
        ("9999-12-01", "9999-12-31", "^study date 9999-12-31: a placeholder, not a date$"),
    ],
)
def test_dates_that_give_no_age(born: str, seen: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        chronological_age(date.fromisoformat(born), date.fromisoformat(seen))


@pytest.mark.parametrize(
    ("height_cm", "known"), [(29.9, False), (30, True), (140.5, True), (250, True), (250.1, False)]
)
def test_a_height_is_that_of_a_person(height_cm: float, known: bool) -> None:
    if known:
        assert checked_height(height_cm) == height_cm
    else:
        with pytest.raises(InputError, match="centimetres between 30 and 250 are needed"):
            checked_height(height_cm)


def test_a_height_that_is_no_number_is_refused() -> None:
    with pytest.raises(InputError, match="height nan"):
        checked_height(float("nan"))


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("ages", [(120, 110, 131), (0, 0, 0), (0.5, 0, 20), (10, -3, 20)])
def test_a_bone_age_lies_in_its_interval(ages: tuple[float, float, float]) -> None:
    check_interval(*ages)


@pytest.mark.parametrize(
    "ages",
    [(-1, -2, 3), (120, 121, 131), (120, 110, 119), (NAN, 0, 9), (5, NAN, 9), (5, 0, NAN), (5, -INF, 9), (5, 0, INF)],
)
def test_numbers_that_are_no_bone_age_and_interval_are_refused(ages: tuple[float, float, float]) -> None:
    with pytest.raises(InputError, match="not numbers in order"):
        check_interval(*ages)
