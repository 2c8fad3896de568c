"""Hands that are squashed to learn from."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from boneage_roi.aspect.dataset import (
    MOST,
    NEARLY,
    STRETCH,
    AspectDataset,
    SeenHand,
    random_pose,
    read_samples,
    seen_hand,
    square_error,
    squashed,
    stretched,
    write_samples,
)
from boneage_roi.aspect.view import aspect_view
from boneage_roi.values import HandMask, Radiograph
from tests.aspect.hands import drawn, extent, framed


def find(radiograph: Radiograph) -> HandMask:
    """The drawn hand by its greys; its landmarks on the axis of its pixels' extent."""
    mask = radiograph.pixels > 0.3
    rows, columns = np.nonzero(mask)
    middle, span = float(columns.mean()), float(np.ptp(rows))
    return HandMask(mask, (middle, rows.min() + 0.69 * span), (middle, rows.min() + 0.3 * span), 1.0)


def seen(error: float, degrees: float = 0) -> SeenHand:
    hand = seen_hand(drawn()[0], find, degrees=degrees, error=error, size=128, frame_size=(512, 416))
    assert hand is not None
    return hand


@pytest.mark.parametrize("error", [0.0, 0.35, -0.4])
def test_a_squashed_hand_is_seen_as_in_a_squashed_file(error: float) -> None:
    made, plain = seen(error), seen(0)
    assert made.error == error
    assert np.log(extent(made.view) / extent(plain.view)) == pytest.approx(error, abs=0.06)


def test_the_mask_is_looked_for_in_the_squashed_image() -> None:
    shapes = []

    def noted(radiograph: Radiograph) -> HandMask:
        shapes.append(radiograph.pixels.shape)
        return find(radiograph)

    seen_hand(drawn()[0], noted, degrees=0, error=float(np.log(2)), size=64, frame_size=(512, 416))
    assert shapes == [(250, 400)]


def test_a_turned_hand_carries_its_error_along_the_axis_that_is_seen() -> None:
    hand = seen_hand(
        drawn()[0], lambda radiograph: framed(90, 0.3)[1], degrees=90, error=0.3, size=128, frame_size=(512, 416)
    )
    assert hand is not None
    assert hand.error == pytest.approx(-0.3)


def test_without_a_hand_there_is_nothing_to_see() -> None:
    nothing = HandMask(np.zeros((500, 400), bool), (0.0, 0.0), (0.0, 1.0), 0.0)
    assert seen_hand(drawn()[0], lambda _: nothing, degrees=0, error=0, size=64, frame_size=(512, 416)) is None


@pytest.mark.parametrize(("error", "shape"), [(np.log(2), (50, 80)), (-np.log(2), (100, 40)), (0, (100, 80))])
def test_squashing_makes_one_side_shorter(error: float, shape: tuple[int, int]) -> None:
    assert squashed(np.ones((100, 80), np.float32), error).shape == shape


def test_a_squared_image_is_too_wide_by_its_height_over_its_width() -> None:
    assert square_error(np.zeros((400, 300), np.float32)) == pytest.approx(np.log(4 / 3))


def test_poses_reach_all_aspects_many_are_squares_and_many_nearly_right() -> None:
    random = np.random.default_rng(0)
    errors = np.array([random_pose(random, 0.27)[1] for _ in range(2000)])
    assert errors.min() < -0.9 * np.log(MOST)
    assert errors.max() > 0.9 * np.log(MOST)
    assert 0.35 < (errors == 0.27).mean() < 0.45
    assert (np.abs(errors) < 2 * NEARLY).mean() > 0.22


@pytest.mark.parametrize("error", [0.2, -0.2])
def test_a_view_is_stretched_by_what_its_error_grows(error: float) -> None:
    view, random = aspect_view(*framed(), 160)[0], np.random.default_rng(3)
    plain, wide = (extent(255 * stretched(random, view, more, 128)) for more in (0.0, error))
    assert np.log(wide / plain) == pytest.approx(error, abs=0.04)


def test_views_to_learn_from_tell_how_far_they_were_stretched() -> None:
    views = AspectDataset([SeenHand(aspect_view(*framed(), 160)[0], 0.4)], 128, seed=3)
    pairs = [views[0] for _ in range(60)]
    assert all(view.shape == (1, 128, 128) for view, _ in pairs)
    errors = np.array([float(error) for _, error in pairs])
    assert errors.mean() == pytest.approx(0.4, abs=0.05)
    assert errors.std() == pytest.approx(STRETCH, rel=0.3)


def test_samples_come_back_as_they_were_kept(tmp_path: Path) -> None:
    samples = {"train": [seen(0.2), seen(-0.1)], "as_is": [seen(0)]}
    write_samples(tmp_path / "samples.npz", samples)
    kept = read_samples(tmp_path / "samples.npz", "train")
    assert [hand.error for hand in kept] == [0.2, -0.1]
    assert np.array_equal(kept[1].view, samples["train"][1].view)
    assert len(read_samples(tmp_path / "samples.npz", "as_is")) == 1
