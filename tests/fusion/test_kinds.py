"""Every way to fuse learns what it is taught, and says so of new hands."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from boneage_roi.configs.schema import FusionConfig, LayerConfig  # noqa: E402
from boneage_roi.errors import InputError  # noqa: E402
from boneage_roi.fusion.features import HandReadings, moments, stack_readings  # noqa: E402
from boneage_roi.fusion.kind import Fusion, Lesson, Weighing  # noqa: E402
from boneage_roi.fusion.kinds import FUSIONS, find_fusion  # noqa: E402
from boneage_roi.values import MONTHLY, FloatArray  # noqa: E402
from tests.fusion.makers import hands_of, reading  # noqa: E402


@pytest.mark.parametrize("name", list(FUSIONS))
def test_every_fusion_says_of_new_hands_what_it_was_taught(name: str, tmp_path: Path) -> None:
    """The second region is 20 months too old: whatever learns must notice, and the mean must not."""
    kind, ages = find_fusion(name), np.random.default_rng(1).uniform(60, 180, 120).astype(np.float32)

    def hands(rows: slice) -> HandReadings:
        stacked = stack_readings(
            [([reading("hand", age), reading("carpal", age + 20)], "M" if age > 100 else "F") for age in ages[rows]],
            ("hand", "carpal"),
        )
        return replace(stacked, features=np.asarray(stacked.features * 0.1 + ages[rows, None, None] / 100, np.float32))

    settings = FusionConfig(kind=name, folds=2, epochs=40, ridge=0.1, layer=LayerConfig(learning_rate=0.01))
    fitted = kind.teach(Lesson(hands(slice(100)), ages[:100], settings, tmp_path))
    assert {file.name for file in tmp_path.iterdir()} >= set(kind.files)
    distributions, months = kind.open(tmp_path)(hands(slice(100, None)))
    assert distributions.shape == (20, MONTHLY.bins)
    off = float(np.abs(months - ages[100:]).mean())
    assert (9 < off < 11) if name == "mean" else off < 8
    assert float(np.abs(fitted.months - ages[:100]).mean()) == pytest.approx(off, abs=4)


def weights_of(fusion: Fusion, hands: HandReadings) -> FloatArray:
    assert isinstance(fusion, Weighing)
    weights = fusion.weights(hands)
    assert weights is not None
    return weights


@pytest.mark.parametrize("name", ["mean", "ridge", "stacking", "rb-fcl", "trees", "rb-fcl+trees"])
def test_weights_sum_to_one_and_an_absent_region_has_none(name: str, tmp_path: Path) -> None:
    kind, hands, region = find_fusion(name), hands_of(60), 2
    ages = np.asarray(moments(hands.distributions)[0].mean(1), np.float32)
    kind.teach(Lesson(hands, ages, FusionConfig(folds=2, epochs=3), tmp_path))
    fusion = kind.open(tmp_path)
    everything = weights_of(fusion, hands)
    assert everything.shape == hands.present.shape
    assert everything.sum(1) == pytest.approx(1, abs=1e-4)
    hands.present[:, region] = 0
    without = weights_of(fusion, hands)
    assert without.sum(1) == pytest.approx(1, abs=1e-4)
    assert np.abs(without[:, region]).max() < 1e-6


@pytest.mark.parametrize("name", ["ridge", "stacking"])
@pytest.mark.parametrize("absent", [None, 1])
def test_a_fused_age_follows_a_region_s_own_by_its_weight(name: str, absent: int | None, tmp_path: Path) -> None:
    kind, hands = find_fusion(name), hands_of(120)
    ages = np.asarray(moments(hands.distributions)[0] @ np.array([0.5, 0.3, 0.1, 0, 0.1, 0]) * 1.1, np.float32)
    kind.teach(Lesson(hands, ages, FusionConfig(folds=2), tmp_path))
    fusion = kind.open(tmp_path)
    if absent is not None:
        hands.present[:, absent] = 0
    before, moved = fusion(hands)[1], []
    for region in range(len(hands.regions)):
        older = replace(hands, distributions=hands.distributions.copy())
        older.distributions[:, region] = np.roll(older.distributions[:, region], 5, axis=-1)
        moved.append(fusion(older)[1] - before)
    follows = np.stack(moved, axis=1)
    assert follows[0].sum() == pytest.approx(5.5, abs=0.3)
    weights = weights_of(fusion, hands)
    assert weights == pytest.approx(follows / follows.sum(1, keepdims=True), abs=0.01)
    assert np.ptp(weights[0]) > 0.1


def test_an_unknown_fusion_lists_the_known() -> None:
    with pytest.raises(InputError, match=r"'median'; known are mean, ridge, rb-fcl, trees, rb-fcl\+trees"):
        find_fusion("median")


def test_18_16_a_fusion_that_was_killed_and_taught_again_gives_the_same_files(tmp_path: Path) -> None:
    kind, hands = find_fusion("rb-fcl+trees"), hands_of(120)
    ages = (moments(hands.distributions)[0][:, 0] + 3).astype(np.float32)
    settings = FusionConfig(folds=2, epochs=3)

    def killed(label: str, done: int, total: int) -> None:
        if label.startswith("fusion, fold 2") and done > total // 2:
            raise InterruptedError

    kind.teach(Lesson(hands, ages, settings, tmp_path / "whole"))
    with pytest.raises(InterruptedError):
        kind.teach(Lesson(hands, ages, settings, tmp_path / "killed", progress=killed))
    kind.teach(Lesson(hands, ages, settings, tmp_path / "killed"))
    for name in kind.files:
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "killed" / name).read_bytes(), name


@pytest.mark.parametrize("name", ["feature-ridge", "feature-svr", "feature-forest", "feature-trees"])
def test_a_regressor_sees_the_features_of_the_regions_that_are_there(name: str, tmp_path: Path) -> None:
    hands = hands_of(60)
    ages = np.asarray(moments(hands.distributions)[0].mean(1), np.float32)
    teach = find_fusion(name).teach(Lesson(hands, ages, FusionConfig(folds=2), tmp_path))
    assert teach.measured["features"] == hands.features.shape[1] * hands.features.shape[2] + hands.features.shape[1] + 1
    absent = replace(hands, present=np.zeros_like(hands.present), features=hands.features + 7)
    nothing = replace(absent, features=np.zeros_like(hands.features))
    opened = find_fusion(name).open(tmp_path)
    assert opened(absent)[1] == pytest.approx(opened(nothing)[1])


def test_stacking_weighs_no_region_below_nothing_and_corrects_one_that_is_off(tmp_path: Path) -> None:
    hands = hands_of(120)
    ages = moments(hands.distributions)[0][:, 0].astype(np.float32)
    taught = find_fusion("stacking").teach(Lesson(hands, ages, FusionConfig(folds=2), tmp_path))
    weights = taught.measured["weights"]
    regions = [weights[name] for name in hands.regions]
    assert min(regions) >= 0
    assert regions[0] > 0.95
    (tmp_path / "stacking.json").write_text('{"weights": [NaN]}')
    with pytest.raises(InputError, match="stacking"):
        find_fusion("stacking").open(tmp_path)


TREES = """
import sys
from pathlib import Path
import lightgbm, numpy as np
from boneage_roi.fusion.boosting import export_trees
inputs = np.random.default_rng(0).normal(size=(60, 3))
trees = lightgbm.train({"verbose": -1, "num_threads": 1, "seed": 1}, lightgbm.Dataset(inputs, inputs[:, 0]), 3)
export_trees(trees, 3, Path(sys.argv[1]))
"""


def test_18_16_another_process_writes_the_same_trees(tmp_path: Path) -> None:
    """Python orders a set of texts by a number that it draws when it starts."""
    for number in ("0", "20"):  # they order the names of ONNX's two sets of operators differently
        made = [sys.executable, "-c", TREES, str(tmp_path / number)]
        subprocess.run(made, check=True, env=os.environ | {"PYTHONHASHSEED": number})
    assert (tmp_path / "0").read_bytes() == (tmp_path / "20").read_bytes()
