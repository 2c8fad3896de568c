"""The ridge regression on what each region says beside the mean of all."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn")

from boneage_roi.configs.schema import FusionConfig
from boneage_roi.errors import InputError
from boneage_roi.fusion.features import HandReadings, stack_readings
from boneage_roi.fusion.kind import Lesson
from boneage_roi.fusion.kinds import find_fusion
from boneage_roi.fusion.ridge import HEAVIEST, balanced
from tests.fusion.makers import reading

AGES = np.random.default_rng(3).uniform(60, 180, 80).astype(np.float32)
BOYS = np.arange(80) % 2 == 1
RIDGE = find_fusion("ridge")


def hands(first: float = 0.0, second: float = 0.0, boys: float = 0.0) -> HandReadings:
    """Hands whose regions are off by so many months, those of boys by some more; one reads the second by chance."""
    noise = np.random.default_rng(4).normal(0, 8, len(AGES))
    return stack_readings(
        [
            (
                [
                    reading("hand", age + first + boys * boy),
                    reading("carpal", age + second + boys * boy + chance),
                ],
                "M" if boy else "F",
            )
            for age, boy, chance in zip(AGES, BOYS, noise, strict=True)
        ],
        ("hand", "carpal"),
    )


def off(given: HandReadings, folder: Path, ridge: float = 0.01) -> np.ndarray:
    """What the fusion is off by in hands that it was taught: the ages that it says itself, from its file."""
    RIDGE.teach(Lesson(given, AGES, FusionConfig(kind="ridge", folds=4, ridge=ridge, balance=0), folder))
    return np.asarray(RIDGE.open(folder)(given)[1] - AGES)


def test_a_region_that_is_off_is_corrected_and_the_surer_one_believed(tmp_path: Path) -> None:
    assert np.abs(off(hands(first=7, second=20), tmp_path)).max() < 0.5


def test_either_sex_has_its_own_correction(tmp_path: Path) -> None:
    assert np.abs(off(hands(boys=15), tmp_path)).max() < 0.5


def test_the_stronger_the_penalty_the_nearer_to_the_mean_but_for_what_all_are_off_by(tmp_path: Path) -> None:
    given = hands(first=10, second=30)
    mean = find_fusion("mean").open(tmp_path)(given)[1] - AGES
    left = off(given, tmp_path, ridge=1e9)
    assert float(left.mean()) == pytest.approx(0, abs=0.01)
    np.testing.assert_allclose(left - left.mean(), mean - mean.mean(), atol=0.01)


def test_what_is_said_outside_the_folds_is_as_good_as_what_is_kept(tmp_path: Path) -> None:
    given = hands(first=7, second=20)
    taught = RIDGE.teach(Lesson(given, AGES, FusionConfig(kind="ridge", folds=4, ridge=0.01, balance=0), tmp_path))
    assert np.abs(taught.months - AGES).max() < 1
    np.testing.assert_allclose(taught.distributions.sum(1), 1, atol=1e-4)


def test_what_an_absent_region_holds_has_no_influence(tmp_path: Path) -> None:
    off(hands(first=7, second=20), tmp_path)
    given = hands()
    given.present[:, 1] = 0
    said = RIDGE.open(tmp_path)(given)[1]
    strange = replace(given, distributions=given.distributions.copy())
    strange.distributions[:, 1] = np.roll(strange.distributions[:, 1], 40, axis=1)
    np.testing.assert_array_equal(RIDGE.open(tmp_path)(strange)[1], said)


def test_a_hand_weighs_the_more_the_rarer_its_sex_and_age_band() -> None:
    ages = np.array([30.0] * 8 + [30.0] * 4 + [130.0] * 3 + [200.0], np.float32)
    sex = np.array([0] * 8 + [1] * 4 + [0] * 3 + [1], np.float32)
    np.testing.assert_array_equal(balanced(ages, sex, 0), np.ones(16))
    whole, half = balanced(ages, sex, 1), balanced(ages, sex, 0.5)
    assert whole[8] / whole[0] == pytest.approx(2)  # half as many boys as girls of that band
    assert whole[12] / whole[0] == pytest.approx(8 / 3)
    assert half[8] / half[0] == pytest.approx(2**0.5)
    assert whole[15] == pytest.approx(8 * whole[0])


def test_no_hand_weighs_more_than_six_others() -> None:
    ages = np.array([130.0] * 999 + [5.0], np.float32)
    weights = balanced(ages, np.zeros(1000, np.float32), 1)
    assert weights[-1] == HEAVIEST == 6
    assert weights[0] < 0.2


@pytest.mark.parametrize("content", ["", "[]", '{"weights": [[1, 2]]}', '{"weights": [1, NaN]}', '{"weights": "x"}'])
def test_a_damaged_file_is_said_in_a_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "ridge.json").write_text(content)
    with pytest.raises(InputError, match=r"ridge\.json: not the weights of a ridge regression"):
        RIDGE.open(tmp_path)


def test_weights_for_other_regions_are_refused_in_a_line(tmp_path: Path) -> None:
    off(hands(), tmp_path)
    fewer = stack_readings([([reading("hand", 100)], "M")], ("hand",))
    with pytest.raises(InputError, match=r"ridge\.json: 5 weights for 1 regions"):
        RIDGE.open(tmp_path)(fewer)
