"""Intervals that are learnt from errors."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from boneage_roi.fusion.calibration import fit_intervals
from boneage_roi.fusion.features import disagreement, stack_readings
from tests.fusion.makers import ALL, hands_of, reading


@pytest.mark.parametrize("coverage", [0.8, 0.9])
def test_18_17_intervals_cover_as_many_new_hands_as_they_say(coverage: float) -> None:
    """Errors grow with the disagreement of the regions, and boys' are larger; the new hands are others."""
    random = np.random.default_rng(4)
    hands, new = hands_of(1500, seed=1), hands_of(1500, seed=2)
    fused, new_fused = (some.distributions.mean(axis=1) for some in (hands, new))
    errors = np.abs(random.normal(0, 2 + disagreement(hands) + 4 * hands.sex)).astype(np.float32)
    new_errors = np.abs(random.normal(0, 2 + disagreement(new) + 4 * new.sex))
    intervals = fit_intervals(hands, fused, errors, coverage)
    widths = intervals.half_width(new, new_fused)
    assert (new_errors <= widths).mean() == pytest.approx(coverage, abs=0.03)
    doubtful = disagreement(new) > np.median(disagreement(new))
    for part in (doubtful, ~doubtful, new.sex == 0, new.sex == 1):
        assert (new_errors <= widths)[part].mean() == pytest.approx(coverage, abs=0.05)
    assert widths[doubtful].mean() > 1.3 * widths[~doubtful].mean()


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
def test_18_17_intervals_of_alike_hands_cover_just_the_share_that_was_asked_for(coverage: float) -> None:
    """Where nothing tells one hand from another, the half width is the errors' own quantile, and no point lower."""
    hands = stack_readings([([reading(region, 100.0) for region in ALL], "F")] * 400, ALL)
    errors = np.random.default_rng(0).permutation(np.linspace(0.05, 20, 400)).astype(np.float32)
    fused = hands.distributions.mean(axis=1)
    intervals = fit_intervals(hands, fused, errors, coverage)
    covered = float((errors <= intervals.half_width(hands, fused) + 1e-4).mean())
    assert coverage - 0.006 <= covered <= coverage + 0.018
    assert intervals.coverage == coverage


def test_the_same_hands_give_the_same_intervals() -> None:
    hands = hands_of(300, seed=1)
    fused = hands.distributions.mean(axis=1)
    errors = np.abs(np.random.default_rng(4).normal(0, 8, 300)).astype(np.float32)
    assert fit_intervals(hands, fused, errors, 0.9) == fit_intervals(hands, fused, errors, 0.9)
