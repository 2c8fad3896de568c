"""Regressors on the regions' joined features, as Wibisono & Mursanto compare them (J Big Data 2020;7:67).

Ridge regression, support vector regression, a random forest and gradient-boosted trees. Each sees the features of all
regions side by side (zeros where a region was not found), which regions there are, and the sex.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from boneage_roi.configs.schema import RegressorsConfig
from boneage_roi.errors import InputError
from boneage_roi.fusion import mean
from boneage_roi.fusion.features import HandReadings
from boneage_roi.fusion.kind import CrossFitted, Fusion, Kind, Lesson
from boneage_roi.onnx_session import Network
from boneage_roi.values import FloatArray

FILE = "regressor.onnx"

Maker = Callable[[RegressorsConfig, int], Any]
"""An untaught regressor of scikit-learn's or LightGBM's, of the settings and a seed."""


def joined_features(hands: HandReadings) -> FloatArray:
    """What the regressors see, float32 (N, R D + R + 1)."""
    features = (hands.features * hands.present[..., None]).reshape(len(hands), -1)
    return np.column_stack([features, hands.present, hands.sex]).astype(np.float32)


class Regressor:
    """An exported regressor; its distribution is the regions' mean one, which its age need not be the mean of."""

    def __init__(self, path: Path) -> None:
        self._network = Network(path, "the regressor on the joined features")

    def __call__(self, hands: HandReadings) -> tuple[FloatArray, FloatArray]:
        (months,) = self._network({"features": joined_features(hands)}, [(len(hands), 1)])
        return mean.mean_distribution(hands), np.asarray(months[:, 0], np.float32)


def _open(folder: Path) -> Fusion:
    return Regressor(folder / FILE)


def _teach(make: Maker, lesson: Lesson) -> CrossFitted:
    inputs, ages, settings = joined_features(lesson.hands), lesson.ages, lesson.settings.regressors
    months = np.zeros(len(ages), np.float32)
    for teach, keep in lesson.folds():
        months[keep] = make(settings, lesson.seed).fit(inputs[teach], ages[teach]).predict(inputs[keep])
    _export(make(settings, lesson.seed).fit(inputs, ages), inputs.shape[1], lesson.folder / FILE)
    return CrossFitted(mean.mean_distribution(lesson.hands), months, {"features": inputs.shape[1]})


def _export(model: Any, width: int, path: Path) -> None:
    if type(model).__module__.startswith("lightgbm"):
        from boneage_roi.fusion.boosting import export_trees

        export_trees(model.booster_, width, path)
        return
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType

    from boneage_roi.learning.onnx_export import write_onnx

    last = model[-1] if hasattr(model, "steps") else model
    if not len(getattr(last, "support_", [0])):
        raise InputError("no hand is further off than fusion.regressors.tolerance, so nothing was learnt; lower it")
    made = to_onnx(model, initial_types=[("features", FloatTensorType([None, width]))], name="fusion")
    write_onnx(made, path)


def _ridge(settings: RegressorsConfig, seed: int) -> Any:
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), Ridge(settings.ridge))


def _svr(settings: RegressorsConfig, seed: int) -> Any:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVR

    return make_pipeline(StandardScaler(), SVR(C=settings.svr, epsilon=settings.tolerance))


def _forest(settings: RegressorsConfig, seed: int) -> Any:
    from sklearn.ensemble import RandomForestRegressor

    return RandomForestRegressor(
        settings.trees, min_samples_leaf=settings.leaf_hands, max_features="sqrt", n_jobs=2, random_state=seed
    )


def _boosted(settings: RegressorsConfig, seed: int) -> Any:
    import lightgbm

    return lightgbm.LGBMRegressor(
        n_estimators=settings.boosted,
        learning_rate=0.05,
        num_leaves=15,
        min_child_samples=settings.leaf_hands,
        colsample_bytree=0.3,
        random_state=seed,
        deterministic=True,
        force_col_wise=True,
        n_jobs=2,
        verbose=-1,
    )


def _kind(make: Maker) -> Kind:
    return Kind((FILE,), _open, partial(_teach, make))


RIDGE, SVR, FOREST, TREES = (_kind(make) for make in (_ridge, _svr, _forest, _boosted))
