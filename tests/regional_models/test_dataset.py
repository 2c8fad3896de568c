"""Augmentation of a hand's crops."""

import numpy as np
import pytest

from boneage_roi.regional_models.crops import Crops
from boneage_roi.regional_models.dataset import RegionDataset, RegionSample

SIZE = (40, 32)


def dataset(augmentation: float, bad_exports: float = 0, aspect: float = 0) -> RegionDataset:
    picture = np.random.default_rng(0).integers(0, 255, (1, 50, 40), dtype=np.uint8)
    places = np.array([[0.3, 0.5, 0.2, 0.2]], np.float32)
    crops, spoiled = Crops(picture, places, 0.9), Crops(np.zeros_like(picture), places, 0.9)
    changes = {"augmentation": augmentation, "bad_exports": bad_exports, "aspect": aspect}
    return RegionDataset([RegionSample(crops, 120.0, 1.0, spoiled)], SIZE, 2, seed=0, **changes)


def test_without_augmentation_the_middle_is_given_every_time() -> None:
    hands = dataset(0)
    crops, present, places, sex, age = hands[0]
    assert np.array_equal(crops[0, 0], hands.samples[0].crops.pixels[0, 5:45, 4:36].astype(np.float32) / 255)
    assert crops.equal(hands[0][0])
    assert present.tolist() == [1, 0]
    assert places[0, 0] == pytest.approx(0.3)
    assert [float(sex), float(age)] == [1, 120]


def test_augmentation_grows_with_its_strength_and_mirrors_the_place() -> None:
    plain = dataset(0)[0][0][0]

    def change(strength: float) -> tuple[float, set[float]]:
        hands = dataset(strength)
        views = [hands[0] for _ in range(40)]
        kept = [view[0][0] for view in views if abs(view[2][0, 0] - 0.3) < 1e-6]
        return float(np.mean([(crops - plain).abs().mean() for crops in kept])), {
            round(float(view[2][0, 0]), 3) for view in views
        }

    (little, places), (much, _) = change(0.05), change(1)
    assert places == {0.3, 0.7}
    assert 0 < little < 0.6 * much


def test_a_mirrored_hand_has_its_crops_mirrored_with_their_places() -> None:
    hands = dataset(0.05)
    hands.samples[0].crops.pixels[0] = np.where(np.arange(40) < 20, 230, 20)  # bright on the left
    sides: dict[float, set[bool]] = {}
    for _ in range(30):
        crops, _, places, *_ = hands[0]
        left, right = (float(half.mean()) for half in crops[0, 0].chunk(2, dim=1))
        sides.setdefault(round(float(places[0, 0]), 2), set()).add(left > right)
    assert sides == {0.3: {True}, 0.7: {False}}


def test_as_many_hands_come_from_a_bad_export_as_asked_for() -> None:
    for share in (0.0, 0.3, 1.0):
        hands = dataset(0.01, bad_exports=share)
        spoilt = sum(float(hands[0][0].max()) < 0.1 for _ in range(300))
        assert spoilt / 300 == pytest.approx(share, abs=0.1)
    assert float(dataset(0)[0][0].max()) > 0.5


def test_hands_of_a_wrong_aspect_are_wider_or_higher_in_crop_and_place_alike() -> None:
    rows, columns = np.indices((50, 40))
    disc = (np.hypot(rows - 24.5, columns - 19.5) < 10).astype(np.uint8) * 255
    hands = dataset(0.001, aspect=0.2)
    hands.samples[0].crops.pixels[0] = disc
    for crops, _, places, *_ in (hands[0] for _ in range(30)):
        ys, xs = np.nonzero(crops[0, 0].numpy() > 0.5)
        seen = (np.ptp(xs) + 1) / (np.ptp(ys) + 1)
        assert seen == pytest.approx(float(places[0, 2] / places[0, 3]), rel=0.12)
    ratios = [float(hands[0][2][0, 2] / hands[0][2][0, 3]) for _ in range(100)]
    assert 0.1 < float(np.std(np.log(ratios))) < 0.4
