"""The worth of each region by developmental stage, for either sex, as Iglovikov et al. (DLMIA 2018) compare regions.

The stages are those of Gilsanz and Ratib's *Hand Bone Age* (Springer, 2005): infancy (to 10 months, boys to 14) and
toddlers (to 2 years, boys to 3), here taken together, because there are few such hands; pre-puberty, early and
mid-puberty, late puberty, post-puberty. So the youngest stage of boys ends at 3 years, as the book has it.

A region is worth what the bone age loses without it: the error of the fused age of all other regions, less that of the
fused age, on the same hands.
"""

from itertools import pairwise

import numpy as np
import pandas as pd

from boneage_roi.metrics import paired_difference
from boneage_roi.pipeline.batch import Outcome
from boneage_roi.pipeline.reader import BoneAgeReader
from boneage_roi.regions import age_column

STAGES = ("infancy and toddlers", "pre-puberty", "early and mid-puberty", "late puberty", "post-puberty")

EDGES: dict[str, tuple[float, ...]] = {
    "F": (0, 24, 84, 156, 180, np.inf),
    "M": (0, 36, 108, 168, 192, np.inf),
}
"""Bone ages in months between which the stages lie; a stage holds its lower edge."""


def without_column(region: str) -> str:
    """The column of an evaluation's predictions that holds the fused age without a region.

    >>> without_column("radius-ulna")
    'without_radius_ulna'
    """
    return f"without_{age_column(region).removesuffix('_age')}"


def without_row(outcome: Outcome, reader: BoneAgeReader) -> dict[str, object]:
    """The fused ages of a hand without each of its regions, months; "" where there is none."""
    row: dict[str, object] = {without_column(region): "" for region in reader.regions}
    age = outcome.bone_age
    if age is None or age.sex is None or len(age.readings) < 2:
        return row
    for reading in age.readings:
        others = [other for other in age.readings if other is not reading]
        row[without_column(reading.region)] = round(reader.fuse(others, age.sex)[0], 2)
    return row


def stage_of(boneage: float, sex: str) -> str:
    """The stage of a child's bone age.

    >>> stage_of(100, "F"), stage_of(100, "M")
    ('early and mid-puberty', 'pre-puberty')
    """
    edges = EDGES[sex]
    return next(name for name, (low, high) in zip(STAGES, pairwise(edges), strict=True) if low <= boneage < high)


def stage_table(predictions: pd.DataFrame, regions: tuple[str, ...]) -> pd.DataFrame:
    """The worth of every region in every stage.

    Args:
        predictions: of :class:`boneage_roi.reports.evaluate.Report`.

    Returns:
        A row a sex, stage and region with at least one hand: ``sex, stage, region, n, mae_alone`` (of the region's own
        age), ``mae`` (of the fused age, same hands), ``worth`` with its 95 % paired bootstrap interval ``worth_low``
        and ``worth_high``; all in months.
    """
    known = predictions[(predictions["status"] == "ok") & predictions["sex"].isin(list(EDGES))]
    stages = [stage_of(age, sex) for age, sex in zip(known["boneage"], known["sex"], strict=True)]
    rows = []
    for sex in EDGES:
        for stage in STAGES:
            hands = known[(known["sex"] == sex) & (pd.Series(stages, known.index, dtype=object) == stage)]
            rows += [row | {"sex": sex, "stage": stage} for region in regions if (row := _row(hands, region))]
    columns = ["sex", "stage", "region", "n", "mae_alone", "mae", "worth", "worth_low", "worth_high"]
    return pd.DataFrame(rows, columns=columns)


def _row(hands: pd.DataFrame, region: str) -> dict[str, object] | None:
    alone, without = age_column(region), without_column(region)
    seen = hands.dropna(subset=[alone, without])
    if seen.empty:
        return None
    truth = seen["boneage"]
    fused = seen["bone_age_months"] - truth
    worth = paired_difference(seen[without] - truth, fused)
    return {
        "region": region,
        "n": len(seen),
        "mae_alone": float((seen[alone] - truth).abs().mean()),
        "mae": float(fused.abs().mean()),
        "worth": worth.value,
        "worth_low": worth.low,
        "worth_high": worth.high,
    }
