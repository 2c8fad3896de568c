"""LightGBM's trees on what a fusion leaves, and their export."""

from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType

from boneage_roi.configs.schema import TreesConfig
from boneage_roi.fusion.features import tree_features
from boneage_roi.fusion.kind import CrossFitted, Lesson, Rows
from boneage_roi.learning.onnx_export import write_onnx
from boneage_roi.metrics import AGE_BAND_EDGES
from boneage_roi.values import FloatArray

STEP = 10
"""The number of trees is a multiple of this."""


class Residuals:
    """What trees learn from: their inputs (N, F), and what they are to add to a fusion's ages."""

    def __init__(self, base: CrossFitted, lesson: Lesson) -> None:
        self.lesson = lesson
        self.base = base
        self.inputs = tree_features(lesson.hands, base.distributions)

    @property
    def corrections(self) -> FloatArray:
        """What the trees are to add to the ages (N,), months."""
        return self.corrections_of(np.arange(len(self.lesson.ages)))

    def corrections_of(self, rows: Rows) -> FloatArray:
        """The same of some hands, worked out of these alone: the trees of a fold know nothing of the others' ages.

        A loss on single hands draws the ages towards the middle, so they also get what the fusion is off by on average
        in each sex and age band, the less the fewer hands it has. What it is off by in all hands alike is in every
        hand's own error already, and is not added once more.
        """
        ages, settings = self.lesson.ages[rows], self.lesson.settings.trees
        missing = ages - self.base.months[rows]
        band = 2 * np.digitize(ages, AGE_BAND_EDGES[1:-1]) + (self.lesson.hands.sex[rows] > 0)
        total, count = np.bincount(band, missing - missing.mean()), np.bincount(band)
        return np.asarray(missing + settings.counterweight * (total / (count + settings.few))[band], np.float32)

    def data(self, rows: Rows) -> lightgbm.Dataset:
        """Some hands as LightGBM takes them."""
        return lightgbm.Dataset(self.inputs[rows], self.corrections_of(rows), free_raw_data=False)


def tree_settings(settings: TreesConfig, seed: int) -> dict[str, Any]:
    """LightGBM's settings."""
    return {
        "objective": "regression_l1",
        "learning_rate": settings.learning_rate,
        "num_leaves": settings.leaves,
        "min_data_in_leaf": settings.leaf_hands,
        "feature_fraction": 0.5,
        "bagging_fraction": 0.7,
        "bagging_freq": 1,
        "lambda_l2": settings.l2,
        "seed": seed,
        "deterministic": True,
        "force_col_wise": True,  # or LightGBM measures which way is faster, and sums in another order
        "num_threads": 2,
        "verbose": -1,
    }


def boost(residuals: Residuals) -> tuple[lightgbm.Booster, int, NDArray[np.float32]]:
    """Trees that correct best.

    Returns:
        The trees of all hands; how many there are; the bone ages (N,) of hands outside their fold.
    """
    lesson, base = residuals.lesson, residuals.base.months
    settings = lesson.settings.trees
    parameters = tree_settings(settings, lesson.seed)
    steps = range(STEP, settings.most + 1, STEP)
    path = np.zeros((len(steps), len(base)))
    for teach, keep in lesson.folds():
        trees = lightgbm.train(parameters, residuals.data(teach), settings.most)
        path[:, keep] = [trees.predict(residuals.inputs[keep], num_iteration=step) for step in steps]
    best = int(np.abs(residuals.corrections - path).mean(axis=1).argmin())
    trees = lightgbm.train(parameters, residuals.data(np.arange(len(base))), steps[best])
    return trees, steps[best], np.asarray(base + path[best], np.float32)


def export_trees(trees: lightgbm.Booster, width: int, path: Path) -> None:
    """Write LightGBM's trees as ONNX."""
    inputs = [("features", FloatTensorType([None, width]))]
    # Without a name of its own the graph gets a random one, and no two bundles of one run would be the same.
    model = convert_lightgbm(trees, name="fusion", initial_types=inputs, zipmap=False)
    write_onnx(model, path)
