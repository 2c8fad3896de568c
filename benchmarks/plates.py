"""Growth plates one by one: the exemplars that name them, how often names are right, how far each plate alone is off.

    uv run --extra train python benchmarks/plates.py names runs/default
    uv run --extra train python benchmarks/plates.py ages runs/default

``names`` makes ``boneage_roi/detection/plates.json`` of the annotated ``train`` hands, then names the boxes that the
detector finds on the annotated hands of ``fusion`` and ``test``. ``ages`` reads every plate of ``fusion`` hands alone.
Both need the run's frames; nothing is learnt from ``test``.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
import pandas as pd
import typer
from rich.progress import track
from script import run_typed
from sklearn.cluster import KMeans

from boneage_roi.detection import naming
from boneage_roi.detection.labels import annotated_hands
from boneage_roi.detection.runtime import Detector
from boneage_roi.errors import InputError
from boneage_roi.metrics import paired_difference
from boneage_roi.pipeline.bundle import Bundle
from boneage_roi.pipeline.reader import BoneAgeReader
from boneage_roi.regional_models.bones import BONES, read_bones
from boneage_roi.regions import GROWTH_PLATES, detected
from boneage_roi.runs.artefacts import FrameCache
from boneage_roi.runs.run import Run
from boneage_roi.values import BoneReading, HandFrame, RegionBox, Sex

EXEMPLARS = 6
NEAR = 0.2
"""A box shows the annotated plate that lies within this share of the distance from wrist to middle MCP joint."""


def names(run: Run) -> None:
    """Make the exemplars, and count the right names."""
    hands, _ = annotated_hands(run, FrameCache(run))
    split = run.manifest.set_index("id").split
    taught = [hand[:16] for key, hand in hands.items() if split[key] == "train" and not np.isnan(hand[:16]).any()]
    upright = [naming.normalised(hand if hand[0, 0] > hand[4, 0] else hand * [-1, 1]) for hand in taught]
    means = KMeans(EXEMPLARS, n_init=4, random_state=0).fit(np.stack(upright).reshape(len(upright), -1))
    centres = means.cluster_centers_.reshape(-1, 16, 2).round(3)
    naming.EXEMPLARS.write_text(json.dumps(centres.tolist()) + "\n", encoding="utf-8")
    print(f"{naming.EXEMPLARS}: {EXEMPLARS} exemplars of {len(taught)} train hands")
    held = {key: hand for key, hand in hands.items() if split[key] != "train"}
    frames, detector = FrameCache(run), Detector(run.path / "detector" / "detector.onnx", detected(run.config.regions))
    right = wrong = unnamed = 0
    spoiled = set()
    for key, hand in held.items():
        length = float(np.hypot(*(hand[2] - hand[14:16].mean(axis=0))))
        for box in naming.name_boxes(detector(frames[key])):
            left, top, low, bottom = box.box
            away = np.hypot(*(hand[:16] - [(left + low) / 2, (top + bottom) / 2]).T)
            if box.region != "epiphysis" or away.min() > NEAR * length:
                continue
            if box.name is None:
                unnamed += 1
            elif box.name == GROWTH_PLATES[int(away.argmin())]:
                right += 1
            else:
                wrong += 1
                spoiled.add(key)
    print(
        f"{len(held)} hands: {right} right, {wrong} wrong on {len(spoiled)} hands, {unnamed} unnamed; {sorted(spoiled)}"
    )


def ages(run: Run, limit: int, seed: int) -> None:
    """Read every bone of ``fusion`` hands alone, and fuse them with the bones that are far from the others left out."""
    hands = run.manifest.reset_index(drop=True)
    hands = hands[hands["split"] == "fusion"].sample(limit, random_state=seed)
    frames = np.load(frames_file(run), mmap_mode="r")
    reader = BoneAgeReader(Bundle.load(run.bundle), tta=False, threads=1)
    finder = Detector(run.bundle / "detector.onnx", detected(run.config.regions), threads=1)
    rows, fused = [], []
    for hand in track(cast(Iterable[Any], hands.itertuples()), "reading hands", total=len(hands)):
        frame = HandFrame(np.asarray(frames[hand.Index]), np.eye(2, 3))
        boxes = naming.name_boxes(finder(frame))
        bones = read_bones(reader.readers, {}, frame, boxes, hand.sex)
        rows += [(hand.id, hand.sex, hand.boneage, bone.name, bone.months, bone.spread, bone.far) for bone in bones]
        fused.append((hand.id, hand.boneage, *_with_and_without(reader, frame, boxes, bones, hand.sex)))
    alone = pd.DataFrame(rows, columns=["id", "sex", "boneage", "bone", "age", "spread", "far"])
    alone["error"] = alone.age - alone.boneage
    table = alone.groupby("bone").agg(
        hands=("error", "size"),
        mae=("error", lambda error: error.abs().mean()),
        median=("error", lambda error: error.abs().median()),
        bias=("error", "mean"),
        spread=("spread", "median"),
        far=("far", "mean"),
    )
    print(table.reindex([bone for bone in BONES if bone in table.index]).round(2).to_string())
    both = pd.DataFrame(fused, columns=["id", "boneage", "all", "without"])
    print(f"{len(both)} hands, {(both['all'] != both['without']).sum()} with a plate far from the others")
    with_all, without = (both[column] - both.boneage for column in ("all", "without"))
    gain = paired_difference(without, with_all)
    print(
        f"fused age: MAE {with_all.abs().mean():.3f} with all plates, {without.abs().mean():.3f} without far ones; "
        f"difference {gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f}) months"
    )
    alone.to_csv("/tmp/bones.csv", index=False)
    both.to_csv("/tmp/fused.csv", index=False)


def _with_and_without(
    reader: BoneAgeReader, frame: HandFrame, boxes: Sequence[RegionBox], bones: Sequence[BoneReading], sex: Sex
) -> tuple[float, float]:
    """The fused age of all boxes, and of those that are not far from the others."""
    far = {bone.name for bone in bones if bone.far and bone.box.region == "epiphysis"}
    kept = [box for box in boxes if box.name not in far]
    readings = [one for network in reader.readers.values() if (one := network(frame, list(boxes), sex))]
    age = reader.fuse(readings, sex)[0]
    if not far:
        return age, age
    plates = reader.readers["epiphysis"](frame, kept, sex)
    return age, reader.fuse([plates if one.region == "epiphysis" and plates else one for one in readings], sex)[0]


def frames_file(run: Run) -> Path:
    """The run's frames, rows in the manifest's order."""
    complete = run.stage("frames") / "frames.npy"
    return complete if complete.is_file() else complete.with_name("frames.partial.npy")


def main(
    what: Annotated[str, typer.Argument(help="names or ages")],
    run: Annotated[Path, typer.Argument(help="A training run with its frames.")],
    limit: Annotated[int, typer.Option(help="So many hands for `ages`, drawn at random.")] = 400,
    seed: int = 0,
) -> None:
    """Growth plates one by one."""
    if what == "names":
        names(Run(run))
    elif what == "ages":
        ages(Run(run), limit, seed)
    else:
        raise InputError(f"{what!r}: give names or ages")


if __name__ == "__main__":
    run_typed(main)
