"""Bad exports: what they leave of an image, and where the hand is then."""

import cv2
import numpy as np
import pytest

from boneage_roi.datasets.augmentation import poor_export, poor_file
from boneage_roi.values import HandMask, Radiograph


def test_a_bad_export_spoils_an_image_more_or_less() -> None:
    picture = np.tile(np.linspace(40, 200, 64), (64, 1)).astype(np.uint8)
    changes = []
    for seed in range(60):
        spoilt = poor_export(np.random.default_rng(seed), picture)
        assert spoilt.shape == picture.shape
        assert spoilt.dtype == np.uint8
        assert abs(spoilt.mean() - picture.mean()) < 3
        changes.append(np.abs(spoilt.astype(float) - picture).mean())
    assert min(changes) < 1.5 < 5 < max(changes)


def test_a_poor_file_has_its_hand_where_the_image_has_it() -> None:
    pixels = np.zeros((300, 200), np.float32)
    cv2.circle(pixels, (120, 180), 60, 1.0, cv2.FILLED)
    radiograph = Radiograph(pixels, sex="F")
    mask = HandMask(pixels > 0.5, (120.0, 240.0), (120.0, 120.0), 0.9)
    sizes = set()
    for seed in range(20):
        poor, hand = poor_file(np.random.default_rng(seed), radiograph, mask)
        height, width = poor.pixels.shape
        sizes.add(height)
        assert hand.pixels.shape == (height, width)
        assert poor.sex == "F"
        assert poor.pixels[hand.pixels].mean() > 0.8 > 0.3 > poor.pixels[~hand.pixels].mean()
        for point, (x, y) in ((hand.wrist, (120, 240)), (hand.middle_mcp, (120, 120))):
            assert point == pytest.approx((x * width / 200, y * height / 300), abs=1)
    assert max(sizes) == 300
    assert min(sizes) < 200
