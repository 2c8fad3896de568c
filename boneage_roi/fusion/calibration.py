"""Fitting the prediction intervals to the errors of hands that the fusion has not seen."""

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import QuantileRegressor
from sklearn.model_selection import KFold

from boneage_roi.fusion.features import HandReadings
from boneage_roi.fusion.intervals import Intervals, interval_features
from boneage_roi.values import FloatArray

FOLDS = 10


def fit_intervals(
    hands: HandReadings, fused: FloatArray, errors: FloatArray, coverage: float, seed: int = 0
) -> Intervals:
    """Intervals that hold for ``coverage`` of new hands.

    Args:
        hands: readings of N hands.
        fused: (N, 240), made of each hand by a fusion that had not seen it.
        errors: absolute errors (N,), months, likewise.
        coverage: share of new hands whose true age should lie inside.
        seed: of the folds in which the factor is found.
    """
    features = interval_features(hands, fused)
    narrowest = float(np.quantile(errors, coverage) / 4)
    widths = np.zeros(len(hands))
    for teach, keep in KFold(min(FOLDS, len(hands)), shuffle=True, random_state=seed).split(features):
        widths[keep] = features[keep] @ _quantile_weights(features[teach], errors[teach], coverage)
    scores = errors / np.maximum(widths, narrowest)
    level = min(np.ceil((len(scores) + 1) * coverage) / len(scores), 1.0)
    factor = float(np.quantile(scores, level, method="higher"))
    weights = _quantile_weights(features, errors, coverage)
    return Intervals(coverage, factor, narrowest, tuple(float(weight) for weight in weights))


def _quantile_weights(features: FloatArray, errors: FloatArray, coverage: float) -> NDArray[np.float64]:
    model = QuantileRegressor(quantile=coverage, alpha=0, fit_intercept=False, solver="highs")
    return np.asarray(model.fit(features, errors).coef_)
