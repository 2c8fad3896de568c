"""Measuring a finished run on the hands that no stage has seen."""

from typing import Any

import numpy as np
import pandas as pd

from boneage_roi.datasets.cache import read_readings
from boneage_roi.fusion.features import moments, stack_readings
from boneage_roi.fusion.runtime import Fuser
from boneage_roi.pipeline.caching import cache_readings
from boneage_roi.regions import Region
from boneage_roi.reports.metrics import error_table
from boneage_roi.runs import Run

KEPT = ("n", "mae", "mae_low", "mae_high", "bias", "coverage", "width")


def measure_test(run: Run) -> dict[str, Any]:
    """Errors of the bone ages on the ``test`` hands, months; nothing when the run has none.

    Returns:
        For each level of :func:`boneage_roi.reports.metrics.error_table` (``all``, a region, a sex, an age band, both)
        its hands, mean absolute error with a 95 % bootstrap interval, bias, coverage and mean width of the intervals.
    """
    hands = run.manifest[run.manifest.split == "test"]
    if hands.empty:
        return {}
    for region in run.config.regions:
        cache_readings(run, region, "test")
    readings = read_readings(run, "test")
    hands = hands[hands.id.isin(readings.keys())]
    stacked = stack_readings([(readings[key], sex) for key, sex in zip(hands.id, hands.sex, strict=True)])
    months, half = Fuser.open(run.path / "fusion").fuse(stacked)
    alone = np.where(stacked.present > 0, moments(stacked.distributions)[0], np.nan)
    table = hands[["sex", "boneage"]].assign(
        bone_age_months=months,
        lower=np.maximum(months - half, 0),
        upper=months + half,
        **{f"{region.replace('-', '_')}_age": alone[:, row] for row, region in enumerate(Region)},
    )
    rows = error_table(pd.DataFrame(table)).to_dict("records")
    return {row["level"]: {name: round(float(row[name]), 3) for name in KEPT if row[name] == row[name]} for row in rows}
