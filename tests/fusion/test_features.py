"""What the fusion is given of a hand."""

import numpy as np

from boneage_roi.fusion.features import ABSENT, disagreement, moments, stack_readings, tree_features
from boneage_roi.regions import REGIONS
from boneage_roi.values import AgeGrid, RegionReading
from tests.fusion.makers import ALL, COUNT, gaussian, hands_of, reading


def test_moments_and_disagreement() -> None:
    mean, spread = moments(np.stack([gaussian(100, 5), gaussian(60, 12)]))
    np.testing.assert_allclose(mean, [100, 60], atol=0.05)
    np.testing.assert_allclose(spread, [5, 12], atol=0.1)
    hands = stack_readings([([reading("hand", 90), reading("carpal", 110)], "M")], ALL)
    np.testing.assert_allclose(disagreement(hands), [10], atol=0.05)


def test_trees_see_that_a_region_is_absent() -> None:
    hands = stack_readings([([reading("hand", 90)], "M"), ([reading(region, 90) for region in REGIONS], "F")], ALL)
    seen = tree_features(hands, np.stack([gaussian(90), gaussian(90)]))
    by_region = seen[:, :-3].reshape(2, COUNT, -1)
    assert (by_region[0, 1:] == ABSENT).all()
    assert (by_region[1] != ABSENT).all()
    np.testing.assert_allclose(by_region[0, 0], by_region[1, 0])
    assert seen[:, -1].tolist() == [1, 0]


def test_what_was_read_lies_at_its_region_and_what_was_not_is_empty() -> None:
    read = RegionReading("carpal", gaussian(90), np.arange(4, dtype=np.float32), crops=3, confidence=0.7)
    hands = stack_readings(
        [([read], "M"), ([RegionReading("hand", gaussian(80), np.ones(4, np.float32), 1)], "F")], ALL
    )
    place = ALL.index("carpal")
    assert hands.present.tolist() == [[float(region == "carpal") for region in ALL], [1.0, 0, 0, 0, 0, 0]]
    assert hands.features[0, place].tolist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(hands.distributions[0, place], gaussian(90))
    assert (hands.crops[0, place], hands.confidences[0, place]) == (3, np.float32(0.7))
    absent = hands.present == 0
    for array in (hands.features, hands.crops, hands.confidences):
        assert (array[absent] == 0).all()
    np.testing.assert_allclose(hands.distributions[absent], 1 / 240, rtol=1e-5)
    assert hands.sex.tolist() == [1, 0]


def test_rows_that_are_picked_keep_all_that_is_known_of_them() -> None:
    hands = hands_of(5)
    hands.crops[:] = np.arange(30).reshape(5, 6)
    hands.confidences[:] = np.arange(30).reshape(5, 6) / 30
    hands.present[3, 2] = 0
    picked = hands[np.array([3, 0])]
    assert len(picked) == 2
    assert (picked.regions, picked.grid) == (hands.regions, hands.grid)
    for name in ("features", "distributions", "present", "sex", "crops", "confidences"):
        np.testing.assert_array_equal(getattr(picked, name), getattr(hands, name)[[3, 0]], err_msg=name)


def test_an_age_that_is_certain_has_no_spread() -> None:
    certain = np.zeros((2, 240), np.float32)
    certain[0, 0] = certain[1, 200] = 1
    mean, spread = moments(certain)
    assert (mean.tolist(), spread.tolist()) == ([0, 200], [0, 0])


def test_the_trees_see_age_spread_quantiles_crops_and_confidence_of_each_region() -> None:
    """In months, whatever the grid: of a Gaussian the quantiles lie 1.28 standard deviations around its middle."""
    for grid in (AgeGrid(), AgeGrid(80, 3.0)):
        peak = np.exp(-0.5 * ((grid.months - 120) / 15) ** 2)
        said = (peak / peak.sum()).astype(np.float32)
        read = RegionReading("hand", said, np.ones(4, np.float32), crops=5, confidence=0.6, grid=grid)
        hands = stack_readings([([read], "M")], ("hand", "carpal"), grid)
        seen = tree_features(hands, said[None])[0]
        low, high = 120 - 1.28 * 15, 120 + 1.28 * 15
        np.testing.assert_allclose(seen[:7], [120, 15, low, 120, high, 5, 0.6], atol=1.01 * grid.width)
        assert seen[5] == 5
        assert seen[7:14].tolist() == [-1.0] * 7
        np.testing.assert_allclose(seen[14:], [120, 15, 1], atol=0.1)
