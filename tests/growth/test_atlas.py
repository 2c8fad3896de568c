"""The atlas of mean hands."""

import numpy as np
import pytest

from boneage_roi.growth.atlas import FOLDER, MISSING, STANDARDS, nearest_standard, standards_around
from boneage_roi.values import Sex


def test_every_half_year_is_there_or_said_to_be_missing() -> None:
    listed = sorted([(one.sex, one.months) for one in STANDARDS] + list(MISSING))
    assert listed == sorted((sex, months) for sex in "FM" for months in range(12, 217, 6))


def test_each_is_the_average_of_many_hands_of_its_age() -> None:
    for one in STANDARDS:
        assert one.hands >= 25, one
        assert one.mean_bone_age == pytest.approx(one.months, abs=3), one


def test_the_pictures_show_a_hand_in_a_frame_with_the_thumb_on_the_right() -> None:
    for one in STANDARDS:
        pixels = one.pixels
        assert pixels.shape == (512, 416)
        assert 0.1 < (pixels > 40).mean() < 0.6, one
        rows = pixels[180:300]  # the thumb's height
        right = np.flatnonzero((rows > 60).any(axis=0))[-1]
        assert right > 280, one
        assert pixels[:10].max() < 20, one


def test_the_files_are_small_and_none_is_left_over() -> None:
    files = {path.name for path in FOLDER.iterdir()}
    assert files == {"atlas.json", *(one.file for one in STANDARDS)}
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 6 * 2**20


@pytest.mark.parametrize("sex", ["F", "M"])
def test_a_bone_age_lies_between_its_two_standards(sex: Sex) -> None:
    ages = [one.months for one in STANDARDS if one.sex == sex]
    for months in np.linspace(ages[0], ages[-1] - 0.1, 40):
        younger, older = standards_around(float(months), sex)
        assert younger.months <= months < older.months
        assert (younger.sex, older.sex) == (sex, sex)
        assert nearest_standard(float(months), sex) in (younger, older)


def test_beyond_its_ends_the_atlas_gives_the_last_ones() -> None:
    ages = [one.months for one in STANDARDS if one.sex == "F"]
    assert [one.months for one in standards_around(0, "F")] == ages[:2]
    assert [one.months for one in standards_around(240, "F")] == ages[-2:]
    assert nearest_standard(240, "F").months == ages[-1]
