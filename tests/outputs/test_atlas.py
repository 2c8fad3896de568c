"""The child's hand beside the atlas's standards."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from boneage_roi.growth.atlas import standards_around
from boneage_roi.outputs.atlas import draw_neighbours
from boneage_roi.outputs.overlay import Image
from boneage_roi.values import Analysis, HandFrame, RegionBox
from tests.outputs.studies import outcome, study


@pytest.fixture
def analysis(tmp_path: Path) -> Analysis:
    """A hand frame with a bright thumb on the left: columns 30 to 49 of 80, the mask everywhere."""
    study(tmp_path / "hand.dcm")
    found = outcome(tmp_path / "hand.dcm").analysis
    assert found is not None
    pixels = np.zeros((100, 80), np.uint8)
    pixels[:, 30:60] = 100
    pixels[:, 30:35] = 250
    return replace(found, frame=HandFrame(pixels, np.array([[1.0, 0, 0], [0, 1, 0]])), boxes=())


def columns(picture: Image, value: int) -> list[int]:
    return np.flatnonzero((picture[..., 0] == value).sum(axis=0) > 90).tolist()


def test_the_hand_stands_between_a_younger_and_an_older_one(analysis: Analysis) -> None:
    standards = standards_around(121, "F")
    picture, mirrored = draw_neighbours(analysis, standards)
    assert not mirrored
    assert picture.shape[0] == 100
    bright = columns(picture, 250)
    assert len(bright) == 5
    assert abs(np.mean(bright) - picture.shape[1] / 2) < 0.2 * picture.shape[1]
    other, _ = draw_neighbours(analysis, standards_around(200, "F"))
    assert not np.array_equal(other[:, :40], picture[:, :40])


def test_a_hand_with_its_thumb_on_the_left_is_mirrored(analysis: Analysis) -> None:
    standards = standards_around(121, "F")
    boxes = (
        RegionBox("phalanx", (0, 0, 20, 20), 0.9, "digit1"),
        RegionBox("phalanx", (60, 0, 79, 20), 0.9, "digit5"),
    )
    plain, _ = draw_neighbours(analysis, standards)
    picture, mirrored = draw_neighbours(replace(analysis, boxes=boxes), standards)
    assert mirrored
    assert np.mean(columns(picture, 250)) > np.mean(columns(picture, 100))
    assert np.mean(columns(plain, 250)) < np.mean(columns(plain, 100))
    turned = tuple(replace(box, name="digit5" if box.name == "digit1" else "digit1") for box in boxes)
    assert not draw_neighbours(replace(analysis, boxes=turned), standards)[1]
