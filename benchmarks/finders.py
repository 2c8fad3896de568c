"""How well each way to find regions finds what people annotated, beside the shipped detector; and twenty hands drawn.

    python benchmarks/finders.py ../shared/data/rsna --run runs/finders

Truth is what the detector's labels are made of: key points and joint boxes, by one definition. Only hands outside the
`train` split are measured, which no network of the shipped bundle has learnt from. `attention` is measured where
`--attention` gives a bundle that has it.
"""

from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import pandas as pd
import typer

import boneage_roi as br
from boneage_roi.configs.finders import FINDERS
from boneage_roi.configs.schema import TrainConfig
from boneage_roi.datasets.annotations import Annotations
from boneage_roi.datasets.manifest import find_table, read_dataset, read_hand
from boneage_roi.detection.finders import open_finder
from boneage_roi.detection.labels import build_labels
from boneage_roi.detection.runtime import iou
from boneage_roi.imaging.steps import apply_steps
from boneage_roi.progress import tracked
from boneage_roi.runs.artefacts import CORNERS
from boneage_roi.runs.run import Run
from boneage_roi.training.artefacts import cache_frames
from boneage_roi.training.prepare import prepare
from boneage_roi.training.stages import segmenter_stage
from boneage_roi.values import Analysis, RegionBox

FOUND = 0.5
"""A box counts as found from this overlap (IoU) on."""

SETTINGS: dict[str, Any] = {
    "name": "finders",
    "start": "default",
    "start_regions": False,
    "finder": "detector",
    "regions": {name: {"size": [32, 32]} for name in ("radius-ulna", "carpal", "metacarpal", "phalanx")},
}

WHICH = {
    "radius-ulna": {"radius-ulna": 0},
    "carpal": {"carpal": 0},
    "metacarpal": {"metacarpal": 0},
    "phalanx": {"thumb": 0, "middle finger": 2},
}
"""The boxes of a region that are measured, by their name, and which of the region's labels each is."""

COLOURS = {
    "radius-ulna": (0, 94, 213),
    "carpal": (66, 228, 240),
    "metacarpal": (115, 158, 0),
    "phalanx": (255, 160, 86),
}


def main(
    dataset: Path,
    run: Path = Path("runs/finders"),
    attention: Annotated[list[Path] | None, typer.Option(help="A bundle with another finder to measure too.")] = None,
    drawn: Annotated[int, typer.Option(help="So many hands are drawn.")] = 20,
    limit: Annotated[int, typer.Option(help="So many annotated hands at the most.")] = 2000,
) -> None:
    """Measure the finders; the table and the pictures go into the run's folder."""
    work = _annotated_run(dataset, Run(run), limit)
    labels = build_labels(work)
    hands = work.manifest
    hands = hands[(hands.split != "train") & hands.id.isin(labels.id)]
    readers = {"detector": br.load(tta=False, aspect="as-is")}
    readers |= {path.parent.name: br.load(path, tta=False, aspect="as-is") for path in attention or []}
    rows: list[dict[str, Any]] = []
    pictures: dict[str, list[np.ndarray]] = {}
    hand: Any
    for hand in tracked(hands.itertuples(), "hands", len(hands), None):
        radiograph = read_hand(hand)
        true = labels[labels.id == hand.id]
        for name, (analysis, boxes) in _found(readers, radiograph).items():
            sought = readers[name].bundle.manifest.finder.regions if name in readers else FINDERS[name].finds
            rows += [{"finder": name, "id": hand.id, **row} for row in _scores(true, boxes, sought or ())]
            if len(pictures.setdefault(name, [])) < drawn:
                pictures[name].append(_drawn(analysis, boxes, true))
    table = pd.DataFrame(rows)
    table.to_csv(run / "overlaps.csv", index=False)
    grouped = table.groupby(["what", "finder"], sort=False)["iou"]
    summary = pd.DataFrame(
        {
            "hands": grouped.size(),
            "mean IoU": grouped.mean().round(3),
            "median IoU": grouped.median().round(3),
            "found": grouped.apply(lambda overlaps: round(float((overlaps >= FOUND).mean()), 3)),
        }
    )
    print(summary.to_string())
    for name, tiles in pictures.items():
        cv2.imwrite(str(run / f"{name}.png"), _grid(tiles))
        print(run / f"{name}.png")


def _annotated_run(dataset: Path, run: Run, limit: int) -> Run:
    """A run of the hands that have key points or koitka2018's boxes, with the shipped segmenter and its frames."""
    source = find_table(dataset)
    annotations = Annotations.read(source.parent / "annotations")
    boxes = annotations.boxes
    ids = {*boxes.id[boxes.source == "koitka2018"], *annotations.keypoints}
    table = read_dataset(dataset)
    table = table[table["id"].isin(ids)]
    table = table.sample(min(limit, len(table)), random_state=0).sort_index()
    run.path.parent.mkdir(parents=True, exist_ok=True)
    csv = run.path.parent / f"{run.path.name}-hands.csv"
    columns = [name for name in ("id", "path", "sex", "boneage", "width", "height") if name in table]
    table[columns].to_csv(csv, index=False)
    link = csv.parent / "annotations"
    if not link.exists():
        link.symlink_to((source.parent / "annotations").resolve())
    prepare(csv, run, TrainConfig.model_validate(SETTINGS))
    segmenter_stage(run)
    cache_frames(run)
    return run


def _found(readers: dict[str, Any], radiograph: Any) -> dict[str, tuple[Analysis, list[RegionBox]]]:
    """What each finder finds, in the plain frame of the hand or in what its steps make of it."""
    analyses = {name: reader.analyse(radiograph) for name, reader in readers.items()}
    found = {name: (analysis, list(analysis.boxes)) for name, analysis in analyses.items()}
    plain = analyses["detector"]
    masked = apply_steps(plain.frame, plain.mask, ["mask"])
    for name, frame in (("contour", plain.frame), ("contour-masked", masked)):
        found[name] = (plain, open_finder(name, None, FINDERS[name].finds or ())(frame))
    found["template"] = (plain, _template(plain))
    return found


def _template(plain: Analysis) -> list[RegionBox]:
    """The template's boxes of the registered frame, brought back to the plain one."""
    registered = apply_steps(plain.frame, plain.mask, ["register"])
    back = cv2.invertAffineTransform(registered.to_frame)
    boxes = []
    for box in open_finder("template", None, FINDERS["template"].finds or ())(registered):
        left, top, right, bottom = box.box
        corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]]) @ back[:, :2].T + back[:, 2]
        there = corners @ plain.frame.to_frame[:, :2].T + plain.frame.to_frame[:, 2]
        (x, y), (x_end, y_end) = there.min(axis=0), there.max(axis=0)
        boxes.append(RegionBox(box.region, (float(x), float(y), float(x_end), float(y_end)), box.confidence))
    return boxes


def _scores(true: pd.DataFrame, boxes: list[RegionBox], sought: tuple[str, ...]) -> list[dict[str, Any]]:
    """The overlap of each measured box with the best of what was found, 0 where nothing was; of regions looked for."""
    rows = []
    for region, names in WHICH.items():
        if region not in sought:
            continue
        drawn = true.loc[true.region == region, CORNERS].to_numpy(float).tolist()
        own = [box.box for box in boxes if box.region == region]
        for name, place in names.items():
            if place < len(drawn):
                rows.append({"what": name, "iou": max((iou(tuple(drawn[place]), box) for box in own), default=0.0)})
    return rows


def _drawn(analysis: Analysis, boxes: list[RegionBox], true: pd.DataFrame) -> np.ndarray:
    picture = cv2.cvtColor(analysis.frame.pixels, cv2.COLOR_GRAY2BGR)
    for row in true[true.region.isin(list(WHICH))].to_dict("records"):
        left, top, right, bottom = (round(row[name]) for name in CORNERS)
        cv2.rectangle(picture, (left, top), (right, bottom), (255, 255, 255), 1)
    for box in boxes:
        if box.region in COLOURS:
            left, top, right, bottom = (round(value) for value in box.box)
            cv2.rectangle(picture, (left, top), (right, bottom), COLOURS[box.region], 3)
    return cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)


def _grid(tiles: list[np.ndarray], columns: int = 7) -> np.ndarray:
    blank = np.zeros_like(tiles[0])
    filled = [*tiles, *[blank] * (-len(tiles) % columns)]
    return np.vstack([np.hstack(filled[start : start + columns]) for start in range(0, len(filled), columns)])


if __name__ == "__main__":
    from script import run_typed

    run_typed(main)
