"""Sixty real hands as a data set of their own, and settings that train every stage on them in seconds."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from boneage_roi.configs.schema import TrainConfig
from boneage_roi.pipeline.bundle import DEFAULT_BUNDLE
from boneage_roi.regions import REGIONS
from boneage_roi.runs.artefacts import write_boxes
from boneage_roi.runs.run import Run
from boneage_roi.values import RegionBox
from tests.conftest import RSNA

SHIPPED_SEGMENTER = DEFAULT_BUNDLE / "segmenter.onnx"
"""A segmenter of one epoch cuts hands badly and no joint could be named: later stages start from this one."""


def tiny_config() -> TrainConfig:
    """One epoch of everything."""
    sizes = dict.fromkeys(REGIONS, (48, 48)) | {"hand": (112, 92), "phalanx": (64, 32)}
    one_epoch = {"stages": 4, "rounds": [{"epochs": 1}], "batch": 8}
    return TrainConfig.model_validate(
        {
            "name": "tiny",
            "segmenter": {"size": 128, "epochs": 1, "self_training_epochs": 1, "self_training_hands": 4, "batch": 8},
            "detector": {"size": 128, "epochs": 1, "batch": 8},
            "regions": {region: one_epoch | {"size": size} for region, size in sizes.items()},
            "fusion": {"folds": 2, "epochs": 2},
        }
    )


def write_tiny_dataset(folder: Path) -> Path:
    """A manifest of hands that have outlines, key points and boxes of all three sources, some of them several."""
    annotations = RSNA / "annotations"
    boxes = pd.read_csv(annotations / "boxes.csv", dtype={"id": str})
    drawn: dict[str, set[str]] = {str(source): set(rows.id) for source, rows in boxes.groupby("source")}
    points = set(json.loads((annotations / "keypoints.json").read_text()))
    outlines = set(json.loads((annotations / "hand_polygons.json").read_text()))
    groups = [
        (points & outlines & drawn["kucukbayrak"], 22),
        (points & drawn["handbone-detect"] & drawn["kucukbayrak"], 18),
        (drawn["koitka2018"] & drawn["kucukbayrak"], 15),
        (drawn["koitka2018"] - drawn["kucukbayrak"], 9),
    ]
    splits = ("train", "fusion", "train", "test", "fusion", "train")
    labels = pd.read_csv(RSNA / "labels.csv", dtype={"id": str}).set_index("id").dropna()
    rows = []
    for hands, count in groups:
        for number, key in enumerate(sorted(hands & set(labels.index))[:count]):
            path = RSNA / "images-299" / f"{key}.webp"
            rows.append({"id": key, "path": path, **labels.loc[key], "split": splits[number % len(splits)]})
    folder.mkdir(parents=True)
    pd.DataFrame(rows).to_csv(folder / "hands.csv", index=False)
    (folder / "annotations").symlink_to(annotations)
    return folder


def label_boxes(labels: pd.DataFrame) -> dict[str, list[RegionBox]]:
    """Built labels as if a detector had found them."""
    return {
        str(key): [
            RegionBox(row["region"], (row["xmin"], row["ymin"], row["xmax"], row["ymax"]), 0.9)
            for row in rows.to_dict("records")
        ]
        for key, rows in labels.groupby("id")
    }


def cache_label_boxes(run: Run) -> None:
    """Stands for ``cache_boxes``: a detector of one epoch finds few regions."""
    keep_boxes(run, label_boxes(pd.read_csv(run.path / "detector" / "labels.csv", dtype={"id": str})))


def keep_boxes(run: Run, boxes: dict[str, list[RegionBox]]) -> None:
    """Boxes as a finished stage of a run."""
    run.begin_anew("boxes")
    write_boxes(run, boxes)
    run.finish("boxes", {}, outputs=["boxes.csv"])


def killed_at(epoch: int, seen: list[int]) -> Callable[[Any], None]:
    """A Lightning hook that notes every epoch that starts, and dies at one."""

    def on_train_epoch_start(module: Any) -> None:
        if module.current_epoch == epoch:
            raise InterruptedError("killed")
        seen.append(module.current_epoch)

    return on_train_epoch_start
