"""Two samples compared: shares and numbers, each with 95 % intervals and a p-value."""

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from boneage_roi.metrics import bootstrap_means

RESAMPLES = 1000

Z = NormalDist().inv_cdf(0.975)

LARGE = 5_000
"""Of more numbers the mean's interval is taken from the normal distribution, which the bootstrap agrees with there."""

Values = NDArray[np.float64]


def compare_shares(before: Values, now: Values) -> dict[str, float]:
    """Shares of ones among zeros and ones, each (n,), n at least 1.

    Wilson's intervals (Journal of the American Statistical Association 1927), Newcombe's of the difference (Statistics
    in Medicine 1998, method 10), and the p-value of the two-sample z test with the pooled share.
    """
    (a, a_low, a_high), (b, b_low, b_high) = wilson(before), wilson(now)
    difference = b - a
    pooled = float(np.concatenate([before, now]).mean())
    error = np.sqrt(pooled * (1 - pooled) * (1 / len(before) + 1 / len(now)))
    p = 2 * NormalDist().cdf(-abs(difference) / error) if error > 0 else 1.0
    return _row(before, now, (a, a_low, a_high), (b, b_low, b_high)) | {
        "difference_low": difference - float(np.hypot(b - b_low, a_high - a)),
        "difference_high": difference + float(np.hypot(b_high - b, a - a_low)),
        "distance": abs(difference),
        "p": p,
    }


def compare_numbers(before: Values, now: Values) -> dict[str, float]:
    """Means of numbers, each (n,), n at least 2, with bootstrap intervals; any difference of their distributions.

    ``distance`` is Kolmogorov's and Smirnov's D, ``p`` its asymptotic p-value with Stephens' correction (Journal of the
    Royal Statistical Society B 1970); where many numbers are alike, that is more cautious than it need be.
    """
    drawn = [_means(values, seed) for seed, values in enumerate((before, now))]
    ends = [tuple(np.percentile(means, [2.5, 97.5])) for means in drawn]
    low, high = np.percentile(drawn[1] - drawn[0], [2.5, 97.5])
    distance, p = kolmogorov_smirnov(before, now)
    first, second = ((float(v.mean()), float(e[0]), float(e[1])) for v, e in zip((before, now), ends, strict=True))
    return _row(before, now, first, second) | {
        "difference_low": float(low),
        "difference_high": float(high),
        "distance": distance,
        "p": p,
    }


def wilson(values: Values) -> tuple[float, float, float]:
    """A share and the ends of its 95 % interval.

    >>> [round(end, 3) for end in wilson(np.array([1.0] * 5 + [0.0] * 95))]
    [0.05, 0.022, 0.112]
    """
    n, share = len(values), float(values.mean())
    middle = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    reach = Z / (1 + Z**2 / n) * float(np.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2)))
    return share, max(middle - reach, 0.0), min(middle + reach, 1.0)


def kolmogorov_smirnov(before: Values, now: Values) -> tuple[float, float]:
    """D of two samples and its p-value."""
    both = np.sort(np.concatenate([before, now]))
    shares = [np.searchsorted(np.sort(values), both, side="right") / len(values) for values in (before, now)]
    distance = float(np.abs(shares[0] - shares[1]).max())
    root = np.sqrt(len(before) * len(now) / (len(before) + len(now)))
    scaled = (root + 0.12 + 0.11 / root) * distance
    if scaled < 0.2:  # the series converges slowly there, and the p-value is 1
        return distance, 1.0
    terms = np.arange(1, 101)
    series = 2 * float(((-1.0) ** (terms - 1) * np.exp(-2 * (terms * scaled) ** 2)).sum())
    return distance, min(max(series, 0.0), 1.0)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number, in the same order.

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values)
    corrected = np.maximum.accumulate(np.array(p_values)[order] * np.arange(len(p_values), 0, -1)).clip(max=1)
    found = np.empty(len(p_values))
    found[order] = corrected
    return [float(p) for p in found]


def _means(values: Values, seed: int) -> Values:
    """Means of resampled values."""
    if len(values) > LARGE:
        error = float(values.std(ddof=1)) / np.sqrt(len(values))
        return np.asarray(np.random.default_rng(seed).normal(values.mean(), error, RESAMPLES))
    return np.asarray(bootstrap_means(values[:, None], RESAMPLES, seed)[:, 0])


def _row(
    before: Values, now: Values, first: tuple[float, float, float], second: tuple[float, float, float]
) -> dict[str, float]:
    ends = ("reference", "reference_low", "reference_high", "value", "low", "high")
    return {
        "n_reference": len(before),
        "n": len(now),
        **dict(zip(ends, (*first, *second), strict=True)),
        "difference": second[0] - first[0],
        "spread": float(before.std()),
    }
