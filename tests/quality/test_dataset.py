"""Images that are no whole hand."""

import cv2
import numpy as np
import pytest

from boneage_roi.imaging.intensity import stretch
from boneage_roi.quality.dataset import MAKERS, not_a_hand, side_by_side, spoiled
from boneage_roi.values import HandMask, Radiograph

PIXELS = np.random.default_rng(0).random((300, 240)).astype(np.float32)
MASK = HandMask(PIXELS > 2, wrist=(120.0, 230.0), middle_mcp=(125.0, 150.0), confidence=0.9)


@pytest.mark.parametrize("number", range(len(MAKERS)))
def test_every_kind_is_a_radiograph_of_its_own(number: int) -> None:
    name, image = not_a_hand(number, Radiograph(PIXELS), MASK, np.random.default_rng(number))
    assert name == list(MAKERS)[number]
    assert image.pixels.dtype == np.float32
    assert min(image.pixels.shape) >= 48
    assert 0 <= image.pixels.min() < image.pixels.max() <= 1
    _, again = not_a_hand(number, Radiograph(PIXELS), MASK, np.random.default_rng(number))
    np.testing.assert_array_equal(image.pixels, again.pixels)


def test_a_piece_outside_the_image_becomes_another_kind() -> None:
    at_the_edge = HandMask(MASK.pixels, wrist=(120.0, 299.0), middle_mcp=(120.0, 200.0), confidence=0.9)
    number = list(MAKERS).index("forearm")
    _, image = not_a_hand(number, Radiograph(PIXELS), at_the_edge, np.random.default_rng(0))
    assert np.isfinite(image.pixels).all()


def test_two_hands_are_as_high_as_the_left_one() -> None:
    pair = side_by_side(Radiograph(PIXELS), Radiograph(PIXELS[::2, ::2].copy()))
    assert pair.pixels.shape == (300, 480)
    np.testing.assert_array_equal(pair.pixels[:, :240], PIXELS)


@pytest.mark.parametrize(("number", "kind"), [(0, "compressed"), (1, "noisy"), (2, "compressed")])
def test_a_spoiled_hand_is_the_same_hand_with_other_greys(number: int, kind: str) -> None:
    smooth = cv2.GaussianBlur(PIXELS, (0, 0), 5)
    radiograph = Radiograph(stretch(smooth))
    name, image = spoiled(number, radiograph, np.random.default_rng(number))
    assert name == kind
    assert image.pixels.shape == PIXELS.shape
    assert 0 < np.abs(image.pixels - radiograph.pixels).mean() < 0.1
