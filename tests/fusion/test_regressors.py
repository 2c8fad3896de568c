"""The regressors on joined features: each setting does what its name says, and the same lesson teaches the same."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

pytest.importorskip("sklearn")

from boneage_roi.configs.schema import FusionConfig, RegressorsConfig
from boneage_roi.errors import InputError
from boneage_roi.fusion.kind import Lesson
from boneage_roi.fusion.kinds import find_fusion
from tests.fusion.makers import hands_of

HANDS = hands_of(60)
AGES = np.asarray(100 + 30 * HANDS.features[:, 0, 0], np.float32)


def taught(name: str, folder: Path, seed: int = 0, **settings: Any) -> np.ndarray:
    """The ages that the exported regressor says of the hands that it learnt from."""
    kind, regressors = find_fusion(name), RegressorsConfig.model_validate(settings)
    folder.mkdir()
    kind.teach(Lesson(HANDS, AGES, FusionConfig(kind=name, folds=2, regressors=regressors), folder, seed))
    return kind.open(folder)(HANDS)[1]


@pytest.mark.parametrize(
    ("name", "strongest"),
    [
        ("feature-ridge", {"ridge": 1e9}),
        ("feature-svr", {"svr": 1e-9}),
        ("feature-svr", {"tolerance": 13}),
        ("feature-forest", {"leaf_hands": 60}),
        ("feature-trees", {"leaf_hands": 60}),
    ],
)
def test_a_setting_as_strong_as_can_be_leaves_one_age_for_all(
    name: str, strongest: dict[str, Any], tmp_path: Path
) -> None:
    assert taught(name, tmp_path / "plain").std() > 3
    assert taught(name, tmp_path / "strong", **strongest).std() < 0.6


def test_a_tolerance_that_leaves_nothing_to_learn_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"further off than fusion\.regressors\.tolerance"):
        taught("feature-svr", tmp_path / "all", tolerance=1000)


@pytest.mark.parametrize(("name", "setting"), [("feature-forest", "trees"), ("feature-trees", "boosted")])
def test_there_are_as_many_trees_as_asked_for(name: str, setting: str, tmp_path: Path) -> None:
    taught(name, tmp_path / "few", **{setting: 7})
    [node] = [node for node in onnx.load(tmp_path / "few" / "regressor.onnx").graph.node if "Tree" in node.op_type]
    [trees] = [set(given.ints) for given in node.attribute if given.name == "nodes_treeids"]
    assert len(trees) == 7


@pytest.mark.parametrize("name", ["feature-forest", "feature-trees"])
def test_a_seed_gives_one_forest_and_another_seed_another(name: str, tmp_path: Path) -> None:
    first, again, other = (
        taught(name, tmp_path / place, seed, trees=9, boosted=9)
        for place, seed in (("first", 3), ("again", 3), ("other", 4))
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_features_are_scaled_before_they_are_weighed(tmp_path: Path) -> None:
    """A feature that counts in small numbers is worth as much as one that counts in large ones."""
    small = hands_of(60)
    small.features[:, 0, 0] *= 1e-3
    for name in ("feature-ridge", "feature-svr"):
        kind, months = find_fusion(name), []
        for hands, place in ((HANDS, "large"), (small, "small")):
            folder = tmp_path / name / place
            folder.mkdir(parents=True)
            kind.teach(Lesson(hands, AGES, FusionConfig(kind=name, folds=2), folder))
            months.append(kind.open(folder)(hands)[1])
        np.testing.assert_allclose(months[0], months[1], atol=0.05)
