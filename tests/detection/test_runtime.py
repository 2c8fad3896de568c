"""From the detector's rows to the regions of a hand."""

import numpy as np
import pytest

from boneage_roi.detection.runtime import padded, select_regions
from boneage_roi.regions import REGIONS, detected

FOUND = detected(REGIONS)
CLASS = {region: index for index, region in enumerate(FOUND)}


def row_of_boxes(count: int, step: float = 40, side: float = 30) -> np.ndarray:
    left = step * np.arange(count)
    return np.column_stack([left, np.zeros(count), left + side, np.full(count, side)])


def test_padded_frame_is_centred_and_its_map_leads_back() -> None:
    frame = np.zeros((512, 416), np.uint8)
    frame[200:240, 100:140] = 255
    square, scale, offset = padded(frame, 256)
    assert square.shape == (256, 256)
    rows, columns = np.nonzero(square > 127)
    corners = (np.array([[columns.min(), rows.min()], [columns.max() + 1, rows.max() + 1]]) - offset) / scale
    np.testing.assert_allclose(corners, [[100, 200], [140, 240]], atol=1 / scale)
    assert (square[:, : int(offset[0])] == 0).all()


@pytest.mark.parametrize(("region", "most"), [("carpal", 1), ("phalanx", 5), ("epiphysis", 16)])
def test_no_more_regions_than_a_hand_has(region: str, most: int) -> None:
    scores = np.linspace(0.3, 0.9, 20).astype(np.float32)
    found = select_regions(row_of_boxes(20), scores, np.full(20, CLASS[region]), FOUND)
    assert [box.region for box in found] == [region] * most
    assert [box.confidence for box in found] == sorted(scores.tolist(), reverse=True)[:most]


def test_of_two_boxes_on_one_place_the_surer_stays() -> None:
    corners = np.array([[10, 10, 50, 50], [12, 11, 52, 51], [80, 10, 120, 50]], float)
    scores = np.array([0.6, 0.8, 0.5], np.float32)
    found = select_regions(corners, scores, np.full(3, CLASS["epiphysis"]), FOUND)
    assert [box.box[0] for box in found] == [12, 80]


def test_neighbours_that_touch_both_stay() -> None:
    corners = np.array([[0, 0, 40, 40], [25, 0, 65, 40]], float)
    found = select_regions(corners, np.array([0.9, 0.8], np.float32), np.full(2, CLASS["epiphysis"]), FOUND)
    assert len(found) == 2


def test_regions_may_lie_on_each_other() -> None:
    corners = np.repeat([[10, 10, 50, 50]], len(CLASS), axis=0).astype(float)
    found = select_regions(corners, np.full(len(CLASS), 0.9, np.float32), np.array(list(CLASS.values())), FOUND)
    assert {box.region for box in found} == set(FOUND)


def test_nothing_found_is_an_empty_list() -> None:
    assert select_regions(np.zeros((0, 4)), np.zeros(0, np.float32), np.zeros(0, int), FOUND) == []
