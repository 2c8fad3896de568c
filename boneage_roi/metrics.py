"""How far predicted bone ages are from the true ones, with bootstrap intervals.

A table of predictions has a row a hand: ``boneage`` (true, months), ``bone_age_months`` (predicted, NaN when the hand
failed), ``lower`` and ``upper`` (interval, months), ``sex`` ("M" or "F") and ``<region>_age`` (months, NaN when the
region was not found).
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from boneage_roi.regions import REGIONS, age_column

AGE_BAND_EDGES: tuple[int, ...] = (0, 24, 60, 96, 132, 168, 204, 240)
"""Edges of the age bands in months; a band holds its lower edge, the last one both."""

AGE_BANDS: tuple[str, ...] = tuple(f"{low}-{high}" for low, high in pairwise(AGE_BAND_EDGES))

STATISTICS: tuple[str, ...] = ("mae", "rmse", "bias", "within_12", "within_24", "coverage", "width")
"""Mean absolute error, root mean square error, mean of predicted - true, shares within 12 and 24 months, coverage and
mean width of the prediction intervals."""

RESAMPLES = 2000
SEED = 0
_MEMORY_CELLS = 4_000_000


class Interval(NamedTuple):
    """A statistic and its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


def age_band(boneage: "pd.Series[float]") -> "pd.Series[str]":
    """Name the age band of each true bone age, as an ordered categorical such as "96-132"."""
    edges = [*AGE_BAND_EDGES[:-1], np.inf]
    return pd.cut(boneage, edges, right=False, labels=list(AGE_BANDS))


def bootstrap_means(values: NDArray[np.float64], resamples: int = RESAMPLES, seed: int = SEED) -> NDArray[np.float64]:
    """Column means of resampled rows.

    Args:
        values: (n, k), n at least 1.
        resamples: how many times the n rows are drawn with replacement.
        seed: the same seed and n draw the same rows.

    Returns:
        (resamples, k).
    """
    rng = np.random.default_rng(seed)
    n = len(values)
    step = max(1, _MEMORY_CELLS // n)
    means = []
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        drawn = rng.integers(0, n, (size, n)) + np.arange(size)[:, None] * n
        counts = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n)
        means.append(counts @ values / n)
    return np.concatenate(means)


def error_statistics(
    true: ArrayLike, predicted: ArrayLike, lower: ArrayLike | None = None, upper: ArrayLike | None = None
) -> dict[str, Interval]:
    """Every one of ``STATISTICS`` over hands, each with its 95 % percentile bootstrap interval.

    Args:
        true, predicted: (n,) months, n at least 1, without NaN.
        lower, upper: (n,) ends of the prediction intervals; without them coverage and width are NaN.
    """
    truth = np.asarray(true, dtype=np.float64)
    error = np.asarray(predicted, dtype=np.float64) - truth
    missing = np.full(len(truth), np.nan)
    low = missing if lower is None else np.asarray(lower, dtype=np.float64)
    high = missing if upper is None else np.asarray(upper, dtype=np.float64)
    covered = np.where(np.isnan(low), np.nan, (low <= truth) & (truth <= high))
    size = np.abs(error)
    values = np.column_stack([size, error**2, error, size <= 12, size <= 24, covered, high - low])
    means = np.vstack([values.mean(axis=0), bootstrap_means(values)])
    rmse = STATISTICS.index("rmse")
    means[:, rmse] = np.sqrt(means[:, rmse])
    ends = np.percentile(means[1:], [2.5, 97.5], axis=0)
    return {
        name: Interval(float(means[0, column]), float(ends[0, column]), float(ends[1, column]))
        for column, name in enumerate(STATISTICS)
    }


def paired_difference(errors_a: ArrayLike, errors_b: ArrayLike) -> Interval:
    """MAE of A minus MAE of B on the same hands, with its 95 % paired bootstrap interval.

    Args:
        errors_a, errors_b: (n,) predicted - true in months, in the same order of hands.
    """
    difference = np.abs(np.asarray(errors_a, dtype=np.float64)) - np.abs(np.asarray(errors_b, dtype=np.float64))
    low, high = np.percentile(bootstrap_means(difference[:, None]), [2.5, 97.5])
    return Interval(float(difference.mean()), float(low), float(high))


def error_table(predictions: pd.DataFrame) -> pd.DataFrame:
    """Errors overall, by region, by sex, by age band and by sex and age band.

    Hands without a prediction are left out of the statistics; ``found`` is the share of the level's hands in them.

    Returns:
        A row a group and level with at least one prediction (and the overall and region rows in any case):
        ``group, level, n, found`` and each of ``STATISTICS`` with its ``_low`` and ``_high``.
    """
    hands = predictions.assign(age_band=age_band(predictions["boneage"]))
    rows = [_row("overall", "all", hands)]
    for region in REGIONS:
        column = age_column(region)
        if column in hands:
            rows.append(_row("region", region, hands.drop(columns=["lower", "upper"]), column))
    for sex, group in hands.groupby("sex"):
        rows.append(_row("sex", str(sex), group))
    for band, group in hands.groupby("age_band", observed=True):
        rows.append(_row("age band", str(band), group))
    for (child, ages), group in hands.groupby(["sex", "age_band"], observed=True):
        rows.append(_row("sex x age band", f"{child} {ages}", group))
    return pd.DataFrame([row for row in rows if row["n"] or row["group"] in ("overall", "region")])


def _row(group: str, level: str, hands: pd.DataFrame, column: str = "bone_age_months") -> dict[str, object]:
    seen = hands[hands[column].notna()]
    row: dict[str, object] = {"group": group, "level": level, "n": len(seen), "found": len(seen) / max(len(hands), 1)}
    statistics = (
        error_statistics(seen["boneage"], seen[column], seen.get("lower"), seen.get("upper")) if len(seen) else {}
    )
    for name in STATISTICS:
        value = statistics.get(name, Interval(np.nan, np.nan, np.nan))
        row |= {name: value.value, f"{name}_low": value.low, f"{name}_high": value.high}
    return row
