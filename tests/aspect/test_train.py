"""What is done to the aspect network after its training."""

import numpy as np
import pytest

pytest.importorskip("torch")

from boneage_roi.aspect.dataset import SeenHand
from boneage_roi.aspect.model import AspectNet
from boneage_roi.aspect.train import calibrate, errors, measure

RANDOM = np.random.default_rng(0)
HANDS = [SeenHand(RANDOM.integers(0, 255, (32, 32), np.uint8), error) for error in (0.0, 0.1, -0.1, 0.3)]


def test_hands_of_the_right_aspect_are_right_on_average_after_calibration() -> None:
    network = AspectNet(pretrained=False)
    before = errors(network, HANDS)
    shift = calibrate(network, HANDS)
    assert shift == pytest.approx(-before.mean())
    np.testing.assert_allclose(errors(network, HANDS), before + shift, atol=1e-5)


def test_the_limit_is_what_one_good_hand_in_two_hundred_is_beyond() -> None:
    network = AspectNet(pretrained=False)
    measured = measure(network, {"as_is": HANDS, "square": HANDS[:2]})
    off = errors(network, HANDS)
    assert measured["limit"] == pytest.approx(np.abs(off).max(), rel=0.05)
    assert measured["square_hands"] == 2
    assert measured["as_is_sd"] == pytest.approx(off.std(), abs=1e-4)
