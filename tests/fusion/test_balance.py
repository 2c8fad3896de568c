"""Hands of rare sexes and ages, and a bias that all hands share."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("lightgbm")

from boneage_roi.configs.schema import FusionConfig, TreesConfig
from boneage_roi.fusion.boosting import Residuals, boost
from boneage_roi.fusion.features import stack_readings
from boneage_roi.fusion.kind import CrossFitted, Lesson
from boneage_roi.fusion.kinds import find_fusion
from tests.fusion.makers import reading

RANDOM = np.random.default_rng(0)
AGES = np.concatenate([RANDOM.uniform(132, 168, 190), RANDOM.uniform(2, 22, 10)]).astype(np.float32)
HANDS = stack_readings([([reading("hand", 30 + 0.8 * age)], "M") for age in AGES], ("hand",))


def bias_of_the_young(balance: float, folder: Path) -> float:
    """Readings rise too slowly, and the ridge regression is too strong to make up for it."""
    settings = FusionConfig(kind="ridge", folds=2, ridge=100, balance=balance)
    months = find_fusion("ridge").teach(Lesson(HANDS, AGES, settings, folder)).months
    return float((months - AGES)[AGES < 24].mean())


def test_rare_ages_are_read_with_less_bias_when_bands_are_balanced(tmp_path: Path) -> None:
    assert 0 < bias_of_the_young(1, tmp_path) < 0.7 * bias_of_the_young(0, tmp_path)


@pytest.mark.parametrize("off", [-12.0, 5.0])
def test_a_bias_that_all_hands_share_is_corrected_once(off: float, tmp_path: Path) -> None:
    base = CrossFitted(HANDS.distributions.mean(1), (AGES + off).astype(np.float32))
    residuals = Residuals(base, Lesson(HANDS, AGES, FusionConfig(), tmp_path))
    np.testing.assert_allclose(residuals.corrections, -off, atol=1e-3)


def test_there_are_as_many_trees_as_hands_outside_their_fold_gain_from(tmp_path: Path) -> None:
    """A correction that rises with the age takes many trees; one that is chance takes none."""
    hands = HANDS.distributions.mean(1)
    chance = np.random.default_rng(1).normal(0, 6, len(AGES))
    counts = []
    for off in (0.3 * (AGES - 144), chance):
        base = CrossFitted(hands, (AGES + off).astype(np.float32))
        lesson = Lesson(HANDS, AGES, FusionConfig(folds=2, trees=TreesConfig(counterweight=0, most=200)), tmp_path)
        _, count, months = boost(Residuals(base, lesson))
        counts.append(count)
        if off is not chance:
            assert np.abs(months - AGES).mean() < 0.6 * np.abs(off).mean()
    assert counts[0] > 100 > 60 > counts[1]
