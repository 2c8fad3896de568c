"""Names of growth plates and digits, by geometry."""

import json
from itertools import permutations

import numpy as np
import pytest
from numpy.typing import NDArray

from boneage_roi.detection.naming import EXEMPLARS, name_boxes, name_plates
from boneage_roi.regions import GROWTH_PLATES
from boneage_roi.values import RegionBox


def a_hand(turned: float = 5, *, mirrored: bool = False, jitter: float = 4) -> NDArray[np.float64]:
    """Centres (16, 2) of a hand's growth plates in a frame, in the order of ``GROWTH_PLATES``."""
    hand = np.array(json.loads(EXEMPLARS.read_text(encoding="utf-8"))[0], float)
    hand = hand * [-1, 1] if mirrored else hand
    angle = np.radians(turned)
    hand = hand @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return np.asarray(hand * 110 + (200, 260) + np.random.default_rng(0).normal(0, jitter, hand.shape))


def boxes_of(centres: NDArray[np.float64], region: str = "epiphysis", half: float = 15) -> list[RegionBox]:
    return [RegionBox(region, (x - half, y - half, x + half, y + half), 0.9) for x, y in centres.tolist()]


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("turned", [-15, 0, 15])
def test_all_plates_of_either_hand_get_their_names(turned: float, mirrored: bool) -> None:
    hand = a_hand(turned, mirrored=mirrored)
    order = np.random.default_rng(1).permutation(16)
    named = name_plates(boxes_of(hand[order]))
    assert named == tuple(GROWTH_PLATES[row] for row in order)


def test_missing_plates_leave_the_names_of_the_others() -> None:
    kept = [row for row in range(16) if GROWTH_PLATES[row] not in ("DIP3", "ulna", "MCP1")]
    assert name_plates(boxes_of(a_hand()[kept])) == tuple(GROWTH_PLATES[row] for row in kept)


def test_a_box_that_fits_nowhere_gets_no_name() -> None:
    centres = np.vstack([a_hand(), [(20.0, 480.0)]])[1:]
    assert name_plates(boxes_of(centres))[-1] is None


def test_too_few_boxes_are_not_named() -> None:
    assert set(name_plates(boxes_of(a_hand()[:5]))) == {None}


def test_other_regions_are_left_alone() -> None:
    boxes = [RegionBox("carpal", (180, 300, 240, 360), 1.0), *boxes_of(a_hand())]
    named = name_boxes(boxes)
    assert named[0] == boxes[0]
    assert [box.name for box in named[1:]] == list(GROWTH_PLATES)


@pytest.mark.parametrize("mirrored", [False, True])
def test_digits_are_named_by_the_joints_in_them(mirrored: bool) -> None:
    hand = a_hand(mirrored=mirrored)
    joints = {name: hand[row] for row, name in enumerate(GROWTH_PLATES)}
    fingers = [("MCP1", "IP1"), *((f"MCP{d}", f"PIP{d}", f"DIP{d}") for d in range(2, 6))]
    hulls = [np.array([joints[name] for name in names]) for names in fingers]
    digits = [RegionBox("phalanx", (*(hull.min(0) - 20), *(hull.max(0) + 20)), 0.9) for hull in hulls]
    for order in list(permutations(range(5)))[::17]:
        named = name_boxes([*(digits[row] for row in order), *boxes_of(hand)])
        assert [box.name for box in named[:5]] == [f"digit{row + 1}" for row in order]


def test_digits_without_named_plates_have_no_names() -> None:
    digits = [RegionBox("phalanx", (10.0 + 50 * row, 50, 50 + 50 * row, 250), 0.9) for row in range(5)]
    assert {box.name for box in name_boxes(digits)} == {None}
