"""Training the fusion on the ``fusion`` split, and its intervals.

All is cross-fitted: what corrects a fusion learns from the ages, and the intervals from the errors, of hands that the
fusion had not seen.
"""

from typing import Any

import numpy as np

from boneage_roi.files import write_atomically
from boneage_roi.fusion.calibration import fit_intervals
from boneage_roi.fusion.features import HandReadings, moments, stack_readings
from boneage_roi.fusion.kind import Lesson
from boneage_roi.fusion.kinds import find_fusion
from boneage_roi.fusion.maturity import MATURITY_FILE, fit_maturity
from boneage_roi.progress import Progress
from boneage_roi.runs import layout
from boneage_roi.runs.artefacts import read_readings
from boneage_roi.runs.run import Run
from boneage_roi.values import FloatArray

INTERVALS = "intervals.json"


def train_fusion(run: Run, progress: Progress | None = None) -> dict[str, Any]:
    """Train, measure and export the fusion into ``run/fusion``; does nothing when that is done.

    Needs the readings of the ``fusion`` hands.

    Returns:
        Mean absolute errors in months of cross-fitted predictions, and the mean half width of their intervals.
    """
    if (metrics := run.begin(layout.FUSION)) is not None:
        return metrics
    config, folder = run.config, run.stage(layout.FUSION)
    kind = find_fusion(config.fusion.kind)
    hands, ages = load_hands(run)
    fitted = kind.teach(Lesson(hands, ages, config.fusion, folder, config.seed, progress))
    errors = np.abs(fitted.months - ages)
    intervals = fit_intervals(hands, fitted.distributions, errors, config.fusion.coverage, config.seed)
    write_atomically(folder / INTERVALS, intervals.to_json())
    maturity = fit_maturity(fitted.months, ages, hands.sex)
    write_atomically(folder / MATURITY_FILE, maturity.to_json())
    metrics = {
        "split": "fusion",
        "kind": config.fusion.kind,
        "hands": len(hands),
        "regions_mae": _region_errors(hands, ages),
        "cross_fitted_mae": _rounded(errors.mean()),
        **fitted.measured,
        "mature_from": dict(maturity.from_months),
        "mean_half_width": _rounded(intervals.half_width(hands, fitted.distributions).mean()),
    }
    run.finish(layout.FUSION, metrics, outputs=(*kind.files, INTERVALS, MATURITY_FILE))
    return metrics


def load_hands(run: Run, split: str = "fusion", *, tta: bool = True) -> tuple[HandReadings, FloatArray]:
    """Readings and labels of every hand of a split, in the manifest's order."""
    readings, manifest, config = read_readings(run, split, tta=tta), run.manifest, run.config
    hands = manifest[(manifest.split == split) & manifest.id.isin(readings.keys())]
    found = [(readings[key], sex) for key, sex in zip(hands.id, hands.sex, strict=True)]
    return stack_readings(found, tuple(config.regions), config.grid), hands.boneage.to_numpy(np.float32)


def _region_errors(hands: HandReadings, ages: FloatArray) -> dict[str, float]:
    """Mean absolute error of each region over the hands on which it was found."""
    errors, present = np.abs(moments(hands.distributions, hands.grid)[0] - ages[:, None]), hands.present > 0
    return {
        region: _rounded(errors[present[:, row], row].mean())
        for row, region in enumerate(hands.regions)
        if present[:, row].any()
    }


def _rounded(value: Any) -> float:
    return round(float(value), 3)
