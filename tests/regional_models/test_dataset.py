"""Augmentation of a hand's crops."""

import cv2
import numpy as np
import pytest

from boneage_roi.regional_models.crops import Crops
from boneage_roi.regional_models.dataset import MOST_OFTEN, RegionDataset, RegionSample, repeat_rare

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


def test_18_17_a_mirrored_hand_has_its_crops_mirrored_with_their_places() -> None:
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


def test_nothing_is_changed_that_was_not_asked_for() -> None:
    hands = RegionDataset(dataset(0).samples, SIZE, 2, seed=0)
    middle = hands.samples[0].crops.pixels[0, 5:45, 4:36].astype(np.float32) / 255
    for crops, _, places, *_ in (hands[0] for _ in range(20)):
        assert crops.shape == (2, 1, *SIZE)
        assert np.array_equal(crops[0, 0], middle)
        assert not crops[1].any()  # there is no second crop
        np.testing.assert_allclose(places, np.array([[0.3, 0.5, 0.2, 0.2], [0.0, 0, 0, 0]]), rtol=1e-6)


def test_the_same_numbers_draw_the_same_and_others_draw_others() -> None:
    """So that a training that is resumed sees what it would have seen."""

    def drawn(seed: int, *numbers: int) -> list[float]:
        hands = RegionDataset(dataset(1).samples, SIZE, 2, seed=seed, augmentation=1)
        for _ in range(seed):
            _ = hands[0]
        hands.reseed(*numbers)
        return [float(hands[0][0].sum()) for _ in range(3)]

    assert drawn(3, 1, 2) == drawn(3, 1, 2)
    assert len({tuple(drawn(*numbers)) for numbers in ((3, 1, 2), (3, 1, 3), (3, 2, 2), (4, 1, 2))}) == 4


LARGE = (160, 128)
CENTRE, RIGHT, BELOW = (79.5, 99.5), (115.5, 99.5), (79.5, 135.5)


def discs() -> RegionDataset:
    """A crop with three discs: in the middle, and 36 pixels to the right of it and below it; augmented in full."""
    picture = np.zeros((200, 160), np.uint8)
    for (x, y), radius in zip((CENTRE, RIGHT, BELOW), (14, 10, 6), strict=True):
        rows, columns = np.indices(picture.shape)
        picture[np.hypot(columns - x, rows - y) <= radius] = 255
    crops = Crops(picture[None], np.array([[0.3, 0.5, 0.2, 0.2]], np.float32), 0.9)
    return RegionDataset([RegionSample(crops, 120.0, 1.0)], LARGE, 1, seed=1, augmentation=1)


def seen(hands: RegionDataset, count: int) -> list[tuple[bool, np.ndarray, np.ndarray]]:
    """Of each view whether it is mirrored, where its middle disc lies from the middle, and the map's linear part."""
    views = []
    for crops, _, places, *_ in (hands[0] for _ in range(count)):
        _, _, stats, centres = cv2.connectedComponentsWithStats((crops[0, 0].numpy() > 0.5).astype(np.uint8))
        largest = np.argsort(-stats[1:, cv2.CC_STAT_AREA])[:3] + 1
        middle, right, below = centres[largest]
        linear = np.column_stack([right - middle, below - middle]) / 36
        views.append((float(places[0, 0]) > 0.5, middle - (np.array(LARGE[::-1]) - 1) / 2, linear))
    return views


def test_augmentation_reaches_as_far_as_it_says_and_no_farther() -> None:
    """15 degrees either way, 18 % larger or smaller, moved by 6 % of the shorter side; mirrored half of the time."""
    views = seen(discs(), 400)
    assert 0.4 < np.mean([mirrored for mirrored, _, _ in views]) < 0.6
    angles, scales = [], []
    for mirrored, _, linear in views:
        across, down = linear.T
        assert abs(float(across @ down)) < 0.06  # nothing is sheared
        assert np.linalg.norm(across) == pytest.approx(float(np.linalg.norm(down)), abs=0.05)
        assert (np.linalg.det(linear) < 0) == mirrored
        angles.append(np.degrees(np.arctan2(down[0], down[1])))
        scales.append(np.sqrt(abs(np.linalg.det(linear))))
    assert 13.5 < max(angles) < 15.6
    assert -15.6 < min(angles) < -13.5
    assert 1.15 < max(scales) < 1.2
    assert 1 / 1.2 < min(scales) < 1 / 1.15
    shifts = np.array([shift for _, shift, _ in views])
    np.testing.assert_allclose(shifts.max(axis=0), 0.06 * 128, atol=0.6)
    np.testing.assert_allclose(shifts.min(axis=0), -0.06 * 128, atol=0.6)


def test_a_mirrored_crop_is_moved_no_more_to_one_side() -> None:
    views = seen(discs(), 400)
    for flag in (False, True):
        assert abs(float(np.mean([shift for mirrored, shift, _ in views if mirrored == flag], axis=0)[0])) < 1


def test_greys_change_by_up_to_eight_tenths_of_the_full_strength() -> None:
    hands = discs()
    hands.samples[0].crops.pixels[:] = 128
    greys = [float(hands[0][0][0, 0, 60:100, 50:80].mean()) for _ in range(400)]
    assert 0.27 < min(greys) < 0.38
    assert 0.62 < max(greys) < 0.73


def test_hands_of_rare_ages_come_several_times() -> None:
    crops = Crops(np.zeros((1, 4, 4), np.uint8), np.zeros((1, 4), np.float32), 1.0)
    # a year of age with no hands, one of 1 hand, one of 4 and two of 16 hands; the median year has 10
    ages = [13.0] + [30.0] * 4 + [60.0] * 16 + [131.9] * 16
    samples = [RegionSample(crops, age, 1.0) for age in ages]

    def times(strength: float) -> list[int]:
        again = [sample.boneage for sample in repeat_rare(samples, strength)]
        return [again.count(age) // ages.count(age) for age in (13.0, 30.0, 60.0, 131.9)]

    assert repeat_rare(samples, 0) is samples
    assert list(repeat_rare([], 1)) == []
    assert times(1) == [MOST_OFTEN, 2, 1, 1]
    assert times(0.5) == [3, 2, 1, 1]
    assert MOST_OFTEN == 5
