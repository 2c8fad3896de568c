"""The detector's training data in the layout that Ultralytics reads: images, label files and a YAML."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray

from boneage_roi.detection.runtime import padded
from boneage_roi.files import write_atomically
from boneage_roi.regions import detected
from boneage_roi.runs.artefacts import CORNERS, FrameCache
from boneage_roi.runs.run import Run


def write_dataset(run: Run, labels: pd.DataFrame, folder: Path, size: int) -> Path:
    """Write the frames and labels of annotated hands: ``train`` to learn from, the others to measure on.

    The folder is made anew: Ultralytics would take what else lies in it, and runs code that a ``.cache`` file holds.

    Returns:
        The data set's YAML.
    """
    frames, splits = FrameCache(run), run.manifest.set_index("id").split
    if folder.is_symlink():
        folder.unlink()
    shutil.rmtree(folder, ignore_errors=True)
    classes = {region: index for index, region in enumerate(detected(run.config.regions))}
    for key, boxes in labels.groupby("id"):
        part = "train" if splits[key] == "train" else "held_out"
        frame = frames[str(key)].pixels
        image, scale, offset = padded(frame, size)
        path = folder / "images" / part / f"{key}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), image)
        corners = (boxes[CORNERS].to_numpy() * scale + np.tile(offset, 2)) / size
        lines = [_line(classes[region], box) for region, box in zip(boxes.region, corners, strict=True)]
        write_atomically(folder / "labels" / part / f"{key}.txt", "\n".join(lines) + "\n")
    description = {
        "path": str(folder.resolve()),
        "train": "images/train",
        "val": "images/held_out",
        "names": {index: name for name, index in classes.items()},
    }
    write_atomically(folder / "data.yaml", yaml.safe_dump(description, sort_keys=False))
    return folder / "data.yaml"


def _line(label: int, box: NDArray[np.float64]) -> str:
    centre, side = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
    return f"{label} {centre[0]:.5f} {centre[1]:.5f} {side[0]:.5f} {side[1]:.5f}"
