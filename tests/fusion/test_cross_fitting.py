"""What a fold says of its hands, it says without their ages; and what the layer is taught beside the age."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from boneage_roi.configs.schema import FusionConfig, LayerConfig, TreesConfig
from boneage_roi.fusion.features import HandReadings, stack_readings
from boneage_roi.fusion.kind import Lesson
from boneage_roi.fusion.kinds import FUSIONS, find_fusion
from boneage_roi.fusion.layer import cross_fit
from boneage_roi.fusion.model import FeatureConnectedLayer
from boneage_roi.metrics import AGE_BAND_EDGES
from boneage_roi.values import RegionReading
from tests.fusion.makers import ALL, gaussian, hands_of, reading


def lesson(folder: Path, ages: np.ndarray, **settings: Any) -> Lesson:
    """A hundred and twenty hands, to be learnt in two folds; one number of trees, so that no fold has a say in it."""
    config = FusionConfig(folds=2, epochs=2, trees=TreesConfig(most=10, leaf_hands=5), **settings)
    return Lesson(hands_of(120), ages, config, folder)


@pytest.mark.parametrize("kind", [kind for kind in FUSIONS if kind not in ("mean", "rb-fcl+trees")])
def test_18_17_what_is_said_of_a_fold_is_said_without_its_ages(kind: str, tmp_path: Path) -> None:
    """The ages of a fold are changed: what is said of that fold must stay the same, and what of the others must not."""
    ages = np.asarray(hands_of(120).distributions[:, 0] @ np.arange(240), np.float32)
    first = lesson(tmp_path / "before", ages)
    before = find_fusion(kind).teach(first)
    _, asked = next(first.folds())
    changed = ages.copy()
    changed[asked] += 60
    after = find_fusion(kind).teach(lesson(tmp_path / "after", changed))
    np.testing.assert_array_equal(after.months[asked], before.months[asked])
    np.testing.assert_array_equal(after.distributions[asked], before.distributions[asked])
    others = np.setdiff1d(np.arange(120), asked)
    assert not np.array_equal(after.months[others], before.months[others])


def test_fewer_hands_than_folds_are_each_asked_once(tmp_path: Path) -> None:
    hands = hands_of(3)
    folds = list(Lesson(hands, np.zeros(3, np.float32), FusionConfig(folds=5), tmp_path).folds())
    assert sorted(int(row) for _, asked in folds for row in asked) == [0, 1, 2]
    assert all(set(learnt) | set(asked) == {0, 1, 2} and not set(learnt) & set(asked) for learnt, asked in folds)


def watched(seen: list[Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    """Note which regions the layer is shown while it learns."""
    logits = FeatureConnectedLayer.logits

    def noted(self: FeatureConnectedLayer, *given: Tensor) -> Tensor:
        if self.training:
            seen.append(given[2])
        return logits(self, *given)

    monkeypatch.setattr(FeatureConnectedLayer, "logits", noted)


def test_18_17_now_and_then_a_region_is_withheld_but_never_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Tensor] = []
    watched(seen, monkeypatch)
    whole, single = hands_of(80), stack_readings([([reading("carpal", 100)], "F")] * 40, ALL)
    names = ("features", "distributions", "present", "sex", "crops", "confidences")
    both = {name: np.concatenate([getattr(whole, name), getattr(single, name)]) for name in names}
    settings = FusionConfig(folds=2, epochs=8, layer=LayerConfig(region_dropout=0.1))
    mixed = HandReadings(whole.regions, whole.grid, **both)
    cross_fit(Lesson(mixed, np.full(120, 100, np.float32), settings, tmp_path))
    present = torch.cat(seen).numpy()
    assert present.sum(1).min() == 1
    several = present[present.sum(1) > 1]
    assert 1 - several.mean() == pytest.approx(0.1, abs=0.03)
    assert (several.mean(0) < 1).all()  # every region in its turn


def drawn_to_the_middle(count: int) -> tuple[HandReadings, np.ndarray]:
    """Hands whose region says ages nearer to the middle than they are, with features that tell the age."""
    ages = np.linspace(30, 220, count).astype(np.float32)
    said = 125 + 0.75 * (ages - 125)
    features = 20 * np.eye(8, dtype=np.float32)[np.minimum(ages // 30, 7).astype(int)]
    read = [RegionReading("hand", gaussian(age, 14), feature, 1) for age, feature in zip(said, features, strict=True)]
    return stack_readings([([one], "M" if row % 2 else "F") for row, one in enumerate(read)], ("hand",)), ages


def test_18_17_the_balance_makes_the_bias_of_sexes_and_ages_smaller(tmp_path: Path) -> None:
    readings, ages = drawn_to_the_middle(400)
    band = np.digitize(ages, AGE_BAND_EDGES[1:-1])
    biases = {}
    for weight in (0.0, 3.0):
        settings = FusionConfig(folds=2, epochs=6, layer=LayerConfig(balance=weight))
        _, said = cross_fit(Lesson(readings, ages, settings, tmp_path / str(weight)))
        errors = said @ np.arange(240) - ages
        biases[weight] = np.mean([abs(errors[band == each].mean()) for each in np.unique(band)])
    assert biases[3.0] < 0.95 * biases[0.0]
