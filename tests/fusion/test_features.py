"""What the fusion is given of a hand."""

import numpy as np

from boneage_roi.fusion.features import ABSENT, disagreement, moments, stack_readings, tree_features
from boneage_roi.regions import REGIONS
from tests.fusion.makers import ALL, COUNT, gaussian, reading


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
