"""What the aspect network is shown of a hand."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from boneage_roi.aspect.view import aspect_view, quarter_turns
from boneage_roi.imaging.frame import hand_frame
from tests.aspect.hands import drawn, extent, framed


def test_the_hand_fills_the_view() -> None:
    view, _ = aspect_view(*framed(), 128)
    rows, columns = np.nonzero(view > 40)
    assert view.shape == (128, 128)
    assert max(np.ptp(rows), np.ptp(columns)) > 0.8 * 128
    assert min(rows.min(), columns.min()) > 0
    assert max(rows.max(), columns.max()) < 127


@pytest.mark.parametrize("error", [-0.4, -0.1, 0.1, 0.4])
def test_a_squashed_hand_is_seen_squashed(error: float) -> None:
    plain, _ = aspect_view(*framed(), 128)
    squashed, sign = aspect_view(*framed(error=error), 128)
    assert sign == 1
    assert np.log(extent(squashed) / extent(plain)) == pytest.approx(error, abs=0.06)


@pytest.mark.parametrize(("degrees", "sign"), [(90, -1), (180, 1), (270, -1), (10, 1), (100, -1)])
def test_fingers_point_up_and_the_sign_says_along_which_axis(degrees: float, sign: int) -> None:
    plain, _ = aspect_view(*framed(), 128)
    turned, found = aspect_view(*framed(degrees), 128)
    assert found == sign
    squashed, _ = aspect_view(*framed(degrees, 0.3), 128)
    wider = np.log(extent(squashed) / extent(turned))
    assert wider == pytest.approx(sign * 0.3, abs=0.12)
    if degrees % 90 == 0:
        assert np.abs(plain.astype(float) - turned).mean() < 8


def test_what_lies_around_the_hand_is_not_seen() -> None:
    radiograph, mask = drawn()
    bright = radiograph.pixels.copy()
    far = cv2.dilate(mask.pixels.astype(np.uint8), np.ones((61, 61), np.uint8)) == 0
    bright[far] = 0.3
    dark_view, _ = aspect_view(hand_frame(radiograph, mask), mask, 128)
    bright_view, _ = aspect_view(hand_frame(replace(radiograph, pixels=bright), mask), mask, 128)
    assert np.array_equal(dark_view, bright_view)


def test_quarter_turns_and_the_rest_make_the_whole() -> None:
    for degrees in range(-180, 181, 7):
        turn = np.asarray(cv2.getRotationMatrix2D((0, 0), -degrees, 1.7), np.float64)
        quarters, rest = quarter_turns(turn)
        assert abs(rest) <= 45
        assert (90 * quarters + rest - degrees + 1) % 360 == pytest.approx(1, abs=1e-6)
