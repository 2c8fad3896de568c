"""Growth plates one by one: the exemplars that name them, how often names are right, how far each plate alone is off.

    uv run --extra train python benchmarks/plates.py names runs/default
    uv run --extra train python benchmarks/plates.py ages runs/default

``names`` makes ``boneage_roi/detection/plates.json`` of the annotated ``train`` hands, then names the boxes that the
detector finds on the annotated hands of ``fusion`` and ``test``. ``ages`` reads every bone of ``fusion`` hands alone,
makes ``bones.json`` of a bundle with ``--write``, and measures what leaving far plates out does to the fused age. Both
need the run's frames; nothing is learnt from ``test``.
"""

import hashlib
import json
from collections.abc import Iterable
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
from boneage_roi.files import write_atomically
from boneage_roi.metrics import paired_difference
from boneage_roi.onnx_session import Execution
from boneage_roi.pipeline.bundle import Bundle
from boneage_roi.pipeline.reader import BoneAgeReader
from boneage_roi.regional_models.bones import (
    BONES,
    BONES_FILE,
    LARGEST_ERROR,
    fit_scale,
    mark_far,
    read_bones,
    scaled,
    scales_text,
)
from boneage_roi.regions import GROWTH_PLATES, detected
from boneage_roi.runs.artefacts import FrameCache
from boneage_roi.runs.run import Run
from boneage_roi.values import HandFrame

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


def ages(run: Run, bundle: Bundle, limit: int, seed: int, write: Path | None) -> None:
    """Read every bone of ``fusion`` hands alone, fit the scales of ``bones.json`` to that, and fuse the hands
    once more without the plates that are far from the others."""
    hands = run.manifest.reset_index(drop=True)
    hands = hands[hands["split"] == "fusion"]
    hands = hands.sample(min(limit, len(hands)), random_state=seed)
    frames = np.load(frames_file(run), mmap_mode="r")
    reader, plain = BoneAgeReader(bundle, threads=1), BoneAgeReader(bundle, tta=False, threads=1)
    finder = Detector(bundle.path / "detector.onnx", detected(bundle.manifest.regions), Execution(1))
    found = []
    for hand in track(cast(Iterable[Any], hands.itertuples()), "reading hands", total=len(hands)):
        frame = HandFrame(np.asarray(frames[hand.Index]), np.eye(2, 3))
        boxes = naming.name_boxes(finder(frame))
        bones = read_bones(reader.readers, {}, frame, boxes, hand.sex)
        readings = [one for network in plain.readers.values() if (one := network(frame, list(boxes), hand.sex))]
        found.append((hand, boxes, bones, readings))
    rows = [
        (hand.id, hand.boneage, bone.name, bone.months, bone.spread) for hand, _, bones, _ in found for bone in bones
    ]
    raw = pd.DataFrame(rows, columns=["id", "boneage", "bone", "months", "spread"])
    scales = {str(name): fit_scale(own.months, own.spread, own.boneage) for name, own in raw.groupby("bone")}
    table = _errors(raw, seed).reindex([bone for bone in BONES if bone in scales])
    print(table.infer_objects().round(1).to_string())
    if write:
        _add_to_bundle(write, scales_text({bone: scales[bone] for bone in BONES if bone in scales}))
    fused = []
    for hand, boxes, bones, readings in found:
        frame = HandFrame(np.asarray(frames[hand.Index]), np.eye(2, 3))
        far = {bone.name for bone in mark_far(scaled(bones, scales)) if bone.far and bone.box.region == "epiphysis"}
        age = without = plain.fuse(readings, hand.sex)[0]
        plates = plain.readers["epiphysis"](frame, [box for box in boxes if box.name not in far], hand.sex)
        if far and plates:
            others = [plates if one.region == "epiphysis" else one for one in readings]
            without = plain.fuse(others, hand.sex)[0]
        fused.append((len(far), age - hand.boneage, without - hand.boneage))
    marked, with_all, without_far = np.array(fused).T
    gain = paired_difference(without_far, with_all)
    print(
        f"{len(fused)} hands, {int((marked > 0).sum())} with a plate far from the others; fused age, without test-time "
        f"augmentation: MAE {np.abs(with_all).mean():.3f} with all plates, {np.abs(without_far).mean():.3f} without; "
        f"difference {gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f}) months"
    )


def _errors(raw: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Errors of each bone: of its raw age, and of the age that scales from four fifths of the hands give the others."""
    names = raw.id.unique()
    fold = dict(zip(names, np.random.default_rng(seed).integers(0, 5, len(names)), strict=True))
    table = {}
    for bone, own in raw.groupby("bone"):
        part = own.id.map(fold)
        errors = []
        for kept in range(5):
            teach, other = own[part != kept], own[part == kept]
            scale = fit_scale(teach.months, teach.spread, teach.boneage)
            errors.append(scale.offset + scale.slope * other.months - other.boneage)
        error, off = pd.concat(errors), own.months - own.boneage
        rmse = float(np.sqrt((error**2).mean()))
        table[bone] = {"hands": len(own), "raw MAE": off.abs().mean(), "raw bias": off.mean()}
        table[bone] |= {"MAE": error.abs().mean(), "RMSE": rmse, "has an age": rmse <= LARGEST_ERROR}
    return pd.DataFrame(table).T


def _add_to_bundle(folder: Path, text: str) -> None:
    """Put ``bones.json`` into a bundle, and into its manifest."""
    write_atomically(folder / BONES_FILE, text)
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["files"][BONES_FILE] = hashlib.sha256(text.encode()).hexdigest()
    write_atomically(path, json.dumps(manifest, indent=2) + "\n")


def frames_file(run: Run) -> Path:
    """The run's frames, rows in the manifest's order."""
    complete = run.stage("frames") / "frames.npy"
    return complete if complete.is_file() else complete.with_name("frames.partial.npy")


def main(
    what: Annotated[str, typer.Argument(help="names or ages")],
    run: Annotated[Path, typer.Argument(help="A training run with its frames.")],
    bundle: Annotated[Path | None, typer.Option(metavar="DIR", help="Of `ages`: not the run's own bundle.")] = None,
    limit: Annotated[int, typer.Option(help="So many hands for `ages`, drawn at random.")] = 400,
    seed: int = 0,
    write: Annotated[Path | None, typer.Option(metavar="BUNDLE", help="Put the scales into this bundle.")] = None,
) -> None:
    """Growth plates one by one."""
    if what == "names":
        names(Run(run))
    elif what == "ages":
        ages(Run(run), Bundle.load(bundle or Run(run).bundle), limit, seed, write)
    else:
        raise InputError(f"{what!r}: give names or ages")


if __name__ == "__main__":
    run_typed(main)
