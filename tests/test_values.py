"""The values that a radiograph becomes."""

import math
from datetime import date

import numpy as np
import pytest

from boneage_roi.errors import InputError
from boneage_roi.values import (
    AgeGrid,
    Analysis,
    BoneAge,
    BoneReading,
    HandFrame,
    HandMask,
    Radiograph,
    RegionBox,
    RegionReading,
    parse_sex,
    sex_in_words,
    years_and_months,
)


def reading(region: str, ages: dict[int, float], grid: AgeGrid | None = None) -> RegionReading:
    grid = grid or AgeGrid()
    distribution = np.zeros(grid.bins, np.float32)
    for place, share in ages.items():
        distribution[place] = share
    return RegionReading(region, distribution, np.ones(2, np.float32), 1, grid=grid)


def test_an_age_grid_is_a_row_of_months_from_nought_on() -> None:
    assert AgeGrid().months.tolist() == list(range(240))
    assert AgeGrid().last == 239
    coarse = AgeGrid(5, 1.5)
    assert coarse.months.tolist() == [0, 1.5, 3, 4.5, 6]
    assert coarse.last == 6
    assert coarse.months.dtype == np.float32


@pytest.mark.parametrize(
    ("text", "sex"),
    [("M", "M"), ("f", "F"), (" Male ", "M"), ("FEMALE", "F"), ("female", "F"), ("m", "M"), (None, None)],
)
def test_every_way_to_say_a_sex(text: str | None, sex: str | None) -> None:
    assert parse_sex(text) == sex


@pytest.mark.parametrize("text", ["", "boy", "MM", "0"])
def test_any_other_word_for_a_sex_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is unknown; write M, F, male or female"):
        parse_sex(text)


def test_expected_age_and_spread_are_in_months_of_the_grid() -> None:
    even = reading("hand", {100: 0.5, 120: 0.5})
    assert even.expected_age == pytest.approx(110)
    assert even.spread == pytest.approx(10)
    coarse = reading("hand", {10: 0.5, 20: 0.5}, AgeGrid(80, 3.0))
    assert coarse.expected_age == pytest.approx(45)
    assert coarse.spread == pytest.approx(15)
    assert reading("hand", {77: 1.0}).spread == 0
    assert reading("hand", {77: 1.0}).confidence == 1


def test_frame_points_lead_back_to_the_radiograph() -> None:
    """The frame is turned by a quarter, twice as large, and moved."""
    frame = HandFrame(np.zeros((4, 4), np.uint8), np.array([[0.0, -2, 100], [2, 0, 30]]))
    np.testing.assert_allclose(frame.to_radiograph(np.array([[100.0, 30], [96, 36]])), [[0, 0], [3, 2]], atol=1e-9)
    assert not frame.inverted


def a_bone_age(**changes: object) -> BoneAge:
    fields = {"months": 120.456, "lower": 110.004, "upper": 131.999, "sex": "F", "bundle": "toy"}
    readings = (reading("hand", {118: 0.5, 119: 0.5}), reading("carpal", {121: 1.0}))
    return BoneAge(**(fields | {"readings": readings} | changes))  # type: ignore[arg-type]


def test_each_region_tells_its_own_age() -> None:
    age = a_bone_age()
    assert list(age.regions) == ["hand", "carpal"]
    assert age.region_age("carpal") == pytest.approx(121)
    assert age.region_age("phalanx") is None


def test_a_bone_age_as_plain_types_has_two_decimals() -> None:
    plain = a_bone_age(flags=("inverted",), chronological_age=100.0).to_dict()
    assert (plain["bone_age_months"], plain["lower"], plain["upper"]) == (120.46, 110.0, 132.0)
    assert plain["regions"]["hand"] == {"age_months": 118.5, "spread_months": 0.5}
    assert (plain["sex"], plain["flags"], plain["bundle"]) == ("F", ["inverted"], "toy")
    assert plain["chronological_age_months"] == 100.0
    assert all(math.isfinite(plain[name]) for name in ("bone_age_months", "lower", "upper"))


def test_every_age_and_spread_has_two_decimals() -> None:
    spread = 100 / 3
    bone = BoneReading("MCP1", RegionBox("epiphysis", (0, 0, 1, 1), 0.9), 120.456, spread)
    uneven = reading("hand", {118: 1 / 3, 119: 2 / 3})
    plain = a_bone_age(readings=(uneven,), bones=(bone,)).to_dict()
    assert plain["regions"]["hand"] == {"age_months": 118.67, "spread_months": 0.47}
    assert plain["bones"] == {"MCP1": {"age_months": 120.46, "spread_months": 33.33, "far_from_the_others": False}}


def test_what_tells_who_a_child_is_is_not_printed() -> None:
    """A log or a traceback shows the repr."""
    pixels = np.zeros((2, 2), np.float32)
    shown = repr(Radiograph(pixels, birth_date=date(2014, 3, 9), patient="DOE^JANE", height_cm=140))
    assert "DOE" not in shown
    assert "2014" not in shown
    assert "height_cm=140" in shown


def test_nothing_is_taken_for_known_that_nobody_said() -> None:
    radiograph = Radiograph(np.zeros((2, 2), np.float32))
    assert not radiograph.aspect_known
    mask = HandMask(np.ones((2, 2), bool), (1, 1), (1, 0), 0.9)
    assert mask.second_part == 0
    analysis = Analysis(radiograph, mask, HandFrame(np.zeros((4, 4), np.uint8), np.eye(2, 3)), ())
    assert analysis.wide == 1  # nothing was restored


def test_ages_and_sexes_in_words() -> None:
    said = {0: "0 y 0 m", 11.6: "1 y 0 m", 124.3: "10 y 4 m", 124.6: "10 y 5 m"}
    assert {months: years_and_months(months) for months in said} == said
    assert [sex_in_words(sex) for sex in ("M", "F", None)] == ["male", "female", "sex unknown"]
