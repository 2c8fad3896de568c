"""Measuring a finished run on the hands that no stage has seen."""

from typing import Any

import numpy as np
import pandas as pd

from boneage_roi.datasets.manifest import read_hand
from boneage_roi.errors import RejectedError
from boneage_roi.fusion.features import HandReadings, moments
from boneage_roi.fusion.train import load_hands
from boneage_roi.metrics import error_table
from boneage_roi.pipeline.reader import BoneAgeReader
from boneage_roi.progress import Progress, tracked
from boneage_roi.regions import age_column
from boneage_roi.runs.run import Run
from boneage_roi.training.artefacts import cache_readings, open_fuser
from boneage_roi.values import FloatArray

TRIED = 60
"""So many test hands at the most are shown to the bundle."""

KEPT = ("n", "mae", "mae_low", "mae_high", "bias", "coverage", "width")


def measure_test(run: Run, progress: Progress | None = None) -> dict[str, Any]:
    """Errors of the bone ages on the ``test`` hands, months; nothing when the run has none.

    Returns:
        For each level of :func:`boneage_roi.metrics.error_table` (``all``, a region, a sex, an age band, both)
        its hands, mean absolute error with a 95 % bootstrap interval, bias, coverage and mean width of the intervals.
    """
    if not (run.manifest.split == "test").any():
        return {}
    for region in run.config.regions:
        cache_readings(run, region, "test", progress=progress)
    hands, ages = load_hands(run, "test")
    table = prediction_table(hands, ages, *open_fuser(run).fuse(hands))
    rows = error_table(table).to_dict("records")
    return {row["level"]: {name: round(float(row[name]), 3) for name in KEPT if pd.notna(row[name])} for row in rows}


def measure_refused(run: Run, reader: BoneAgeReader, progress: Progress | None = None) -> dict[str, Any]:
    """How many of some ``test`` hands, drawn at random, a bundle refuses, and for what reason most often."""
    hands = run.manifest
    hands = hands[hands.split == "test"]
    hands = hands.sample(min(len(hands), TRIED), random_state=run.config.seed)
    reasons: list[str] = []
    for hand in tracked(hands.itertuples(), "test hands", len(hands), progress):
        try:
            rejections = reader.assess(reader.analyse(read_hand(hand))).rejections
        except RejectedError as error:
            rejections = error.reasons
        reasons += rejections[:1]
    if not len(hands):
        return {}
    most = max(set(reasons), key=reasons.count) if reasons else ""
    return {"split": "test", "hands": len(hands), "share": round(len(reasons) / len(hands), 4), "reason": most}


def prediction_table(hands: HandReadings, ages: FloatArray, months: FloatArray, half_width: FloatArray) -> pd.DataFrame:
    """A row a hand with the columns that :func:`boneage_roi.metrics.error_table` wants.

    Args:
        hands: readings of N hands.
        ages: true bone ages (N,), months.
        months, half_width: predicted bone ages and half widths of their intervals (N,), months.
    """
    alone = np.where(hands.present > 0, moments(hands.distributions, hands.grid)[0], np.nan)
    return pd.DataFrame(
        {
            "boneage": ages,
            "bone_age_months": months,
            "lower": np.maximum(months - half_width, 0),
            "upper": months + half_width,
            "sex": np.where(hands.sex > 0, "M", "F"),
            **{age_column(region): alone[:, row] for row, region in enumerate(hands.regions)},
        }
    )
