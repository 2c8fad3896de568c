"""Stacking: ages of the regions, weighed; none below nothing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn")

from boneage_roi.configs.schema import FusionConfig
from boneage_roi.errors import InputError
from boneage_roi.fusion.kind import Lesson
from boneage_roi.fusion.kinds import find_fusion
from tests.fusion.test_ridge import AGES, hands

STACKING = find_fusion("stacking")


def lesson(folder: Path, **off: float) -> Lesson:
    return Lesson(hands(**off), AGES, FusionConfig(kind="stacking", folds=4), folder)


def taught(folder: Path, **off: float) -> dict[str, float]:
    weights: dict[str, float] = STACKING.teach(lesson(folder, **off)).measured["weights"]
    return weights


def test_what_is_said_of_hands_outside_their_fold_is_corrected_too(tmp_path: Path) -> None:
    months = STACKING.teach(lesson(tmp_path, first=12.0)).months
    assert np.abs(months - AGES).max() < 2


@pytest.mark.parametrize("off", [-12.0, 12.0])
def test_the_surer_region_weighs_most_and_what_it_is_off_by_is_taken_off(tmp_path: Path, off: float) -> None:
    weights = taught(tmp_path, first=off)
    assert set(weights) == {"hand", "carpal", "offset"}
    assert weights["hand"] > 0.95
    assert 0 <= weights["carpal"] < 0.05
    assert weights["offset"] == pytest.approx(-off, abs=2)
    assert np.abs(STACKING.open(tmp_path)(hands(first=off))[1] - AGES).max() < 1


def test_a_region_that_was_not_found_says_what_the_others_say(tmp_path: Path) -> None:
    taught(tmp_path)
    given = hands()
    given.present[:, 0] = 0  # the region that weighs most
    months = STACKING.open(tmp_path)(given)[1]
    carpal = given.distributions[:, 1] @ np.arange(240)
    np.testing.assert_allclose(months, carpal, atol=1.5)
    strange = replace(given, distributions=given.distributions.copy())
    strange.distributions[:, 0] = 1 / 240
    np.testing.assert_array_equal(STACKING.open(tmp_path)(strange)[1], months)


@pytest.mark.parametrize("content", ["[]", '{"weights": [[1, 2]]}', '{"weights": [1, NaN]}'])
def test_a_damaged_file_is_said_in_a_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "stacking.json").write_text(content)
    with pytest.raises(InputError, match=r"stacking\.json: not the weights of a stacking"):
        STACKING.open(tmp_path)
