"""Learning the gate's limits from hands that are read well and from images that are no whole hand."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from boneage_roi.files import write_atomically
from boneage_roi.quality.dataset import ENHANCED, SPOILED
from boneage_roi.quality.gate import WORDINGS, Gate, Limit, Verdict
from boneage_roi.quality.measures import parts
from boneage_roi.regions import REGIONS
from boneage_roi.runs import layout
from boneage_roi.runs.artefacts import reading_stage
from boneage_roi.runs.run import Run

RARE = 0.005
"""Share of the hands that each limit warns of."""

VERY_RARE = 0.001
"""Share of the hands that are rejected as spoiled, at the most, by each of the measures that tell it."""

FAR = 2.0
"""An image is rejected when its hand is so many times smaller or paler than the worst one learnt from, or when it shows
a second one that is at most so many times smaller than the smallest learnt from."""

HARMLESS = 0.02
"""So much of a hand may be all black or all white without a warning, however rare that is among the hands."""

SHIFTED, LOST = 2.0, 3.0
"""An image is warned of, or rejected, when such spoiled ones have their bone ages moved by so many months on average;
the age of a good image is off by about twice the second."""

AGAIN = 1.5
"""An image whose contrast was enhanced can be exported again without that: it is rejected when such ones have their
bone ages moved by so many months on average."""

TOLD_BY = {"noise": ["noisy"], "blocks": ["compressed"], "disagreement": list(SPOILED)}
"""The measures that tell how spoiled an image is, and the kinds of images from which their limits are learnt."""

FOLDS = 5


def train_gate(run: Run) -> dict[str, Any]:
    """Learn the limits and write ``run/quality/quality.json``; does nothing when that is done.

    Needs the measures that :func:`boneage_roi.training.artefacts.cache_measures` keeps.

    Returns:
        Shares of the hands that are rejected and warned of, and of each other kind that is rejected; of images that
        the limits were not learnt from (cross-fitted).
    """
    if (metrics := run.begin(layout.QUALITY)) is not None:
        return metrics
    folder, manifest = run.stage(layout.QUALITY), run.manifest
    with reading_stage(folder / layout.MEASURES_FILE):
        images = pd.read_csv(folder / layout.MEASURES_FILE)
        _ = images["kind"]
    regions = tuple(str(name) for name in images if name in REGIONS)
    oldest = float(manifest[manifest.split == "train"].boneage.max())
    write_atomically(folder / layout.GATE_FILE, fit_gate(images, oldest, regions).to_json())

    verdicts = pd.Series([Verdict()] * len(images))
    for teach, keep in KFold(min(FOLDS, len(images)), shuffle=True, random_state=run.config.seed).split(images):
        gate = fit_gate(images.iloc[teach], oldest, regions)
        for row, measures in zip(keep, _measures(images.iloc[keep]), strict=True):
            verdicts[row] = gate.judge(measures)
    rejected = verdicts.map(lambda verdict: bool(verdict.rejections)).groupby(images.kind).mean()
    warned = verdicts[images.kind == "hand"].map(lambda verdict: bool(verdict.warnings)).mean()
    metrics = {
        "split": "fusion",
        "images": len(images),
        "hands_warned": round(float(warned), 4),
        "rejected": {str(kind): round(float(share), 4) for kind, share in rejected.items()},
    }
    run.finish(layout.QUALITY, metrics, outputs=[layout.GATE_FILE])
    return metrics


def fit_gate(images: pd.DataFrame, oldest: float, regions: Sequence[str]) -> Gate:
    """Learn the limits.

    Args:
        images: a row an image with everything that :func:`boneage_roi.quality.measures.measure` tells, and ``kind``:
            ``hand`` (these have the regions' ``disagreement`` too), ``pair`` for two hands, ``noisy`` and
            ``compressed`` for spoiled ones, ``locally enhanced`` and ``equalised`` for enhanced ones (these have how
            far the age ``moved``), all others for none.
        oldest: the oldest bone age that the networks have learnt, months.
        regions: what the finder looks for.
    """
    hands, pairs = images[images.kind == "hand"], images[images.kind == "pair"]
    single = images[~images.kind.isin(["pair", *SPOILED, *ENHANCED])]
    model = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))
    telling = parts(regions)
    model.fit(single[list(telling)].to_numpy(), single.kind == "hand")
    scaler, logistic = model[0], model[1]
    weights = logistic.coef_[0] / scaler.scale_
    intercept = float(logistic.intercept_[0] - weights @ scaler.mean_)
    gate = Gate(dict(zip(telling, weights.tolist(), strict=True)), intercept, {})
    hands = hands.assign(likeness=[gate.likeness(hand) for hand in _measures(hands)])

    measured = [name for name in WORDINGS if name in hands]
    rare = {name: float(hands[name].quantile(RARE if WORDINGS[name].low else 1 - RARE)) for name in measured}
    limits = {name: Limit(warn=value) for name, value in rare.items()}
    limits["likeness"] = Limit(rare["likeness"], reject=0.0)
    for name in ("size", "contrast"):
        limits[name] = Limit(rare[name], reject=float(hands[name].min()) / FAR)
    beside = float(pairs.second_hand.quantile(RARE)) if len(pairs) else 1.0
    limits["second_hand"] = Limit(reject=beside / FAR)  # fingers of someone who holds the hand are smaller
    limits["clipped"] = Limit(warn=max(rare["clipped"], HARMLESS))
    for name, kinds in TOLD_BY.items():
        limits[name] = _spoiled_limit(images[images.kind.isin(kinds)], name, hands[name])
    limits |= enhanced_limits(images)
    limits["upper"] = Limit(warn=oldest)
    return Gate(gate.weights, intercept, limits)


def _spoiled_limit(images: pd.DataFrame, name: str, hands: pd.Series) -> Limit:
    """From where on a measure means, of spoiled images, that the age moves too far; few of the ``hands`` lie there."""
    usual, highest = (float(hands.quantile(1 - share)) for share in (RARE, VERY_RARE))
    if images.empty:
        return Limit(usual)
    values = np.sort(images[name])
    moved = IsotonicRegression().fit(images[name], images.moved).predict(values)
    shifted, lost = (float(values[moved >= months].min(initial=values[-1])) for months in (SHIFTED, LOST))
    return Limit(max(shifted, usual), max(lost, highest))


def enhanced_limits(images: pd.DataFrame) -> dict[str, Limit]:
    """Below which measures the contrast was enhanced, and the age of such images moves too far.

    Args:
        images: as in :func:`fit_gate`, of which hands and enhanced ones count; the measures may be missing.
    """
    hands, limits = images[images.kind == "hand"], {}
    pieces, equalised = (images[images.kind == kind] for kind in ENHANCED)
    if "coarse" in images:
        usual, lowest = (float(hands.coarse.quantile(share)) for share in (RARE, VERY_RARE))
        limits["coarse"] = Limit()
        if len(pieces):
            values = np.sort(pieces.coarse)
            moved = IsotonicRegression(increasing=False).fit(pieces.coarse, pieces.moved).predict(values)
            lost = float(values[moved >= AGAIN].max(initial=values[0]))
            limits["coarse"] = Limit(min(lost, usual), min(lost, lowest))
    if "equalised" in images:
        far = len(equalised) > 0 and equalised.moved.mean() >= AGAIN
        limits["equalised"] = Limit(reject=float(hands.equalised.min()) / FAR) if far else Limit()
    return limits


def _measures(images: pd.DataFrame) -> list[dict[str, float]]:
    """What was measured of each image."""
    rows = images.drop(columns="kind").to_dict("records")
    return [{str(name): float(value) for name, value in row.items() if pd.notna(value)} for row in rows]
