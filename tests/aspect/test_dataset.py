"""Hands that are squashed to learn from."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from boneage_roi.aspect.dataset import (
    MOST,
    AspectDataset,
    aspect_sample,
    random_pose,
    read_samples,
    squashed_view,
    write_samples,
)
from boneage_roi.aspect.view import aspect_view
from tests.aspect.hands import extent, framed

SAMPLE = aspect_sample(*framed(), 224)


@pytest.mark.parametrize(("degrees", "error"), [(0, 0.0), (0, 0.35), (0, -0.4), (25, 0.3), (90, 0.3), (180, -0.3)])
def test_a_squashed_sample_looks_as_the_squashed_radiograph_does(degrees: float, error: float) -> None:
    made, sign = squashed_view(SAMPLE, degrees, error, 128)
    real, real_sign = aspect_view(*framed(-degrees, error), 128)
    assert sign == real_sign
    assert extent(made) == pytest.approx(extent(real), rel=0.08)
    assert np.abs(made.astype(float) - real).mean() < 12


def test_poses_reach_all_aspects_and_many_are_nearly_right() -> None:
    random = np.random.default_rng(0)
    errors = np.array([random_pose(random)[1] for _ in range(2000)])
    assert errors.min() < -0.9 * np.log(MOST)
    assert errors.max() > 0.9 * np.log(MOST)
    assert (np.abs(errors) < 0.06).mean() > 0.25


def test_samples_carry_the_error_along_the_axis_that_they_show() -> None:
    views = AspectDataset([SAMPLE], 96, seed=3)
    pairs = [views[0] for _ in range(60)]
    seen = np.array([extent((view[0].numpy() * 255).astype(np.uint8)) for view, _ in pairs if float(view.max()) > 0.3])
    asked = np.array([float(error) for view, error in pairs if float(view.max()) > 0.3])
    assert np.corrcoef(np.log(seen), asked)[0, 1] > 0.6


def test_samples_come_back_as_they_were_kept(tmp_path: Path) -> None:
    write_samples(tmp_path / "samples.npz", {"12": SAMPLE, "7": SAMPLE})
    kept = read_samples(tmp_path / "samples.npz")
    assert list(kept) == ["12", "7"]
    assert np.array_equal(kept["7"].pixels, SAMPLE.pixels)
    assert np.array_equal(kept["7"].mask > 0, SAMPLE.mask > 0)
    assert kept["7"].wrist == pytest.approx(SAMPLE.wrist)
    assert kept["7"].middle_mcp == pytest.approx(SAMPLE.middle_mcp)
