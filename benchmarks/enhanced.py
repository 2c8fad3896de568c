"""Limits of a bundle's gate for images whose contrast was enhanced, without learning its other limits anew.

    python benchmarks/enhanced.py runs/default boneage_roi/bundles/default

A training learns all limits together. This measures what enhanced contrast is told by on every `fusion` hand of a
finished run, and on some of them with CLAHE and with an equalised histogram, read without test-time augmentation. It
puts the two limits into the bundle's ``quality.json``, and what was refused, cross-fitted, into its manifest and card.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
import pandas as pd
import typer
from rich.progress import track
from sklearn.model_selection import KFold

from boneage_roi.datasets.manifest import read_hand
from boneage_roi.files import write_atomically
from boneage_roi.imaging.frame import hand_frame
from boneage_roi.imaging.steps import apply_steps
from boneage_roi.pipeline import BoneAgeReader, Bundle
from boneage_roi.pipeline.bundle import write_bundle_manifest
from boneage_roi.quality.dataset import ENHANCED, enhanced
from boneage_roi.quality.gate import Gate
from boneage_roi.quality.measures import coarse_contrast, off_equalised
from boneage_roi.quality.train import enhanced_limits
from boneage_roi.runs import layout
from boneage_roi.runs.artefacts import read_readings
from boneage_roi.runs.run import Run
from boneage_roi.training.model_card import model_card
from boneage_roi.values import Radiograph

FOLDS = 5
WRITTEN_ANEW = {"created", "package_version", "files"}


def main(
    run: Path, bundle: Path, every: Annotated[int, typer.Option(min=1, help="Enhance one of so many hands.")] = 6
) -> None:
    """Learn the limits, measure them, and write them into the bundle."""
    made, opened = Run(run), Bundle.load(bundle)
    images = measured(made, BoneAgeReader(opened, tta=False, aspect="as-is", threads=1), every)
    rejected = refused(images, made.config.seed)
    limits = enhanced_limits(images)
    gate = Gate.read(bundle / layout.GATE_FILE)
    whole = Gate(gate.weights, gate.intercept, gate.limits | limits)
    for name, limit in limits.items():
        print(f"{name}: {limit}")
    print(images.groupby("kind")[["coarse", "equalised", "moved"]].describe(percentiles=[0.01, 0.5]).T.to_string())
    print(f"refused, cross-fitted: {rejected}")
    write_atomically(bundle / layout.GATE_FILE, whole.to_json())
    fields: dict[str, Any] = opened.manifest.model_dump(mode="json", exclude=WRITTEN_ANEW)
    quality = fields["metrics"]["quality"]
    hands, before = images[images.kind == "hand"], quality.get("enhanced", {})
    odd = round(float((hands.coarse < (limits["coarse"].warn or 0)).mean()), 4)
    others = quality["rejected"]["hand"] - before.get("rejected", 0)
    quality["hands_warned"] = round(quality["hands_warned"] - before.get("warned", 0) + odd, 4)
    quality["rejected"] |= {kind: rejected[kind] for kind in ENHANCED}
    quality["rejected"]["hand"] = round(others + rejected["hand"], 4)  # at the most: some may be the same hands
    quality["enhanced"] = {"hands": len(hands), "rejected": rejected["hand"], "warned": odd}
    counts = {str(split): int(n) for split, n in made.manifest.split.value_counts().items()}
    described = {name: fields[name] for name in ("name", "training_data", "license_note")}
    config = made.config.model_copy(update={**described, "start": "an earlier bundle"})
    write_atomically(bundle / "MODEL_CARD.md", model_card(config, fields["metrics"], counts))
    write_bundle_manifest(bundle, **fields)
    Bundle.load(bundle)


def measured(run: Run, reader: BoneAgeReader, every: int) -> pd.DataFrame:
    """A row an image, as `train-gate` has it, with the measures of enhanced contrast alone."""
    readings, rows = read_readings(run), []
    hands = [hand for hand in cast(Iterable[Any], run.manifest.itertuples()) if hand.id in readings]
    for number, hand in enumerate(track(hands, "hands")):
        radiograph = read_hand(hand)
        mask = reader.segment(radiograph)
        frame = apply_steps(hand_frame(radiograph, mask, run.config.frame_size), mask, run.config.steps)
        rows.append(row("hand", radiograph, coarse_contrast(frame, mask)))
        if number % every:
            continue
        before = reader.fuse(list(readings[hand.id]), hand.sex)[0]
        for turn in range(len(ENHANCED)):
            kind, changed = enhanced(turn, radiograph, np.random.default_rng(number))
            analysis = reader.analyse(changed)
            moved = abs(reader.fuse(reader.readings(analysis, hand.sex), hand.sex)[0] - before)
            rows.append(row(kind, changed, coarse_contrast(analysis.frame, analysis.mask), moved=moved))
    return pd.DataFrame(rows)


def row(kind: str, radiograph: Radiograph, coarse: float, **more: float) -> dict[str, Any]:
    """What enhanced contrast is told by."""
    return {"kind": kind, "coarse": coarse, "equalised": off_equalised(radiograph.pixels), **more}


def refused(images: pd.DataFrame, seed: int) -> dict[str, float]:
    """Share of each kind that limits refuse which were not learnt from it."""
    out = pd.Series(False, index=images.index)
    for teach, keep in KFold(FOLDS, shuffle=True, random_state=seed).split(images):
        for name, limit in enhanced_limits(images.iloc[teach]).items():
            if limit.reject is not None:
                out.iloc[keep] |= (images[name].iloc[keep] < limit.reject).to_numpy()
    return {str(kind): round(float(share), 4) for kind, share in out.groupby(images.kind).mean().items()}


if __name__ == "__main__":
    from script import run_typed

    run_typed(main)
