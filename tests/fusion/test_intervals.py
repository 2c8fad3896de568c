"""Prediction intervals from weights, and their file."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from boneage_roi.errors import InputError
from boneage_roi.fusion.features import disagreement, moments, stack_readings
from boneage_roi.fusion.intervals import KNOTS, Intervals
from boneage_roi.values import RegionReading, Sex
from tests.fusion.makers import hands_of


def test_no_interval_is_narrower_than_the_narrowest() -> None:
    hands = hands_of(20)
    intervals = Intervals(0.9, 1.0, narrowest=6.0, weights=(0.0,) * (2 + 2 * len(KNOTS)))
    np.testing.assert_allclose(intervals.half_width(hands, hands.distributions.mean(axis=1)), 6)


def test_18_17_the_half_width_is_the_factor_times_what_the_weights_give() -> None:
    hands = hands_of(20)
    fused = hands.distributions.mean(axis=1)
    weights = (1.0, 0.5, *(3.0,) * 14)
    plain, wider = (Intervals(0.9, factor, 0.0, weights).half_width(hands, fused) for factor in (1.0, 1.5))
    expected = moments(fused)[1] + 0.5 * disagreement(hands) + 3  # a hand's shares in its knots add up to one
    np.testing.assert_allclose(plain, expected, rtol=1e-4)
    np.testing.assert_allclose(wider, 1.5 * plain, rtol=1e-5)


def test_18_17_each_sex_and_age_has_a_knot_of_its_own() -> None:
    """Weights are those of girls first; between two knots a hand belongs to both."""
    knots = [0, 36, 72, 108, 144, 180, 239]
    certain = np.eye(240, dtype=np.float32)
    sexes: tuple[Sex, Sex] = ("F", "M")
    said = [([RegionReading("hand", certain[knot], np.ones(1, np.float32), 1)], sex) for sex in sexes for knot in knots]
    hands = stack_readings(said, ("hand",))
    for place, weights in enumerate(np.eye(14)):
        widths = Intervals(0.9, 1.0, 0.0, (0.0, 0.0, *weights)).half_width(hands, hands.distributions[:, 0])
        np.testing.assert_allclose(widths, np.eye(14)[place], atol=1e-5)
    (between,) = Intervals(0.9, 1.0, 0.0, (0.0, 0.0, *range(7), *[0.0] * 7)).half_width(
        hands[np.array([1])], certain[[45]]
    )
    assert between == pytest.approx(1.25)


@pytest.mark.parametrize("name", ["factor", "narrowest", "coverage"])
@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_file_with_what_is_no_number_is_refused(tmp_path: Path, name: str, number: float) -> None:
    whole = Intervals(0.9, 1.0, 4.0, (1.0,) * 16)
    changed: dict[str, Any] = {name: number}
    for intervals in (replace(whole, **changed), replace(whole, weights=(*whole.weights[:15], number))):
        (tmp_path / "intervals.json").write_text(intervals.to_json())
        with pytest.raises(InputError, match="not an intervals file"):
            Intervals.read(tmp_path / "intervals.json")


def test_intervals_come_back_from_their_file(tmp_path: Path) -> None:
    weights = tuple(0.5 * row for row in range(2 + 2 * len(KNOTS)))
    intervals = Intervals(coverage=0.9, factor=1.7, narrowest=2.5, weights=weights)
    (tmp_path / "intervals.json").write_text(intervals.to_json())
    assert Intervals.read(tmp_path / "intervals.json") == intervals


@pytest.mark.parametrize(
    "content",
    [
        *("", "{", "[1, 2]", '{"coverage": 0.9}', '{"coverage": "wide"}', '{"a": 1}', "\x00\xff"),
        '{"coverage": 0.9, "factor": 1, "narrowest": 1, "weights": [1]}',
    ],
)
def test_a_damaged_intervals_file_is_an_input_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "intervals.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError, match=r"intervals\.json.*damaged"):
        Intervals.read(path)
    with pytest.raises(InputError):
        Intervals.read(tmp_path / "missing.json")
