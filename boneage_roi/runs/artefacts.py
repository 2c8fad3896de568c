"""What exported networks made of every hand of a run, kept so that each later stage trains on it.

``frames`` holds all hand frames and those of bad exports of ``train`` hands, ``boxes`` the regions found in the frames,
``readings/<split>/<region>`` what a region's CNN says. Rows of arrays are in the order of the run's manifest.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from boneage_roi.datasets.formats import boxes_csv
from boneage_roi.errors import InputError
from boneage_roi.files import write_atomically
from boneage_roi.runs import layout
from boneage_roi.runs.run import Run
from boneage_roi.values import HandFrame, RegionBox, RegionReading

CORNERS = list(boxes_csv.CORNERS)
_FRAME_COLUMNS = ["width", "height", "inverted", "confidence", *(f"m{index}" for index in range(6))]


@contextmanager
def reading_stage(path: Path) -> Iterator[None]:
    """Turn what goes wrong with a file that a stage left into one line."""
    try:
        yield
    except InputError:
        raise
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, EOFError, BadZipFile):
        raise InputError(
            f"{path}: damaged, or no file of this run; delete {path.parent}, and the same command makes it anew"
        ) from None


class FrameCache:
    """The hand frames of a run: ``frames[id]`` is a HandFrame."""

    def __init__(self, run: Run) -> None:
        pixels, bad_exports, table = (run.path / layout.FRAMES / name for name in layout.FRAME_FILES)
        for path in (pixels, bad_exports):
            if not path.is_file():
                raise InputError(f"{path}: is gone, perhaps cleaned away; the next training of a stage makes it again")
        with reading_stage(table):
            self._table = pd.read_csv(table, dtype={"id": str}).set_index("id")[_FRAME_COLUMNS]
        with reading_stage(pixels):
            self._pixels = np.load(pixels, mmap_mode="r")
        with reading_stage(bad_exports):
            self._bad_exports = np.load(bad_exports, mmap_mode="r")
        self._row = {key: row for row, key in enumerate(self._table.index)}

    @property
    def table(self) -> pd.DataFrame:
        """One row a hand: the radiograph's ``width`` and ``height`` as read, the map's six numbers ``m0`` .. ``m5``,
        ``inverted``, and the landmarks' ``confidence``."""
        return self._table

    def __contains__(self, key: str) -> bool:
        return key in self._row

    def __getitem__(self, key: str) -> HandFrame:
        return HandFrame(np.asarray(self._pixels[self._row[key]]), self._map(key), bool(self._table.inverted[key]))

    def bad_export(self, key: str) -> HandFrame:
        """The frame of a bad export of a ``train`` hand."""
        return replace(self[key], pixels=np.asarray(self._bad_exports[self._row[key]]))

    def from_shares(self, key: str) -> NDArray[np.float64]:
        """The affine map (2, 3) that takes points given as shares of the image's width and height to frame pixels."""
        matrix = self._map(key)
        row = self._table.loc[key]
        return np.column_stack(
            [
                matrix[:, 0] * row.width,
                matrix[:, 1] * row.height,
                matrix[:, 2] - 0.5 * (matrix[:, 0] + matrix[:, 1]),
            ]
        )

    def _map(self, key: str) -> NDArray[np.float64]:
        return self._table.loc[key, [f"m{index}" for index in range(6)]].to_numpy(float).reshape(2, 3)


def write_boxes(run: Run, boxes: dict[str, list[RegionBox]]) -> None:
    """Keep the regions found in every frame."""
    rows = [(key, box.region, *box.box, box.confidence) for key, found in boxes.items() for box in found]
    table = pd.DataFrame(rows, columns=["id", "region", *CORNERS, "confidence"])
    write_atomically(run.path / layout.BOXES / layout.BOXES_FILE, table.round(3).to_csv(index=False))


def read_boxes(run: Run) -> dict[str, list[RegionBox]]:
    """The regions found in every frame, by hand; hands without any are missing.

    Raises:
        InputError: the file is damaged.
    """
    path, boxes = run.path / layout.BOXES / layout.BOXES_FILE, dict[str, list[RegionBox]]()
    with reading_stage(path):
        table = pd.read_csv(path, dtype={"id": str})[["id", "region", *CORNERS, "confidence"]]
        for key, region, *corners, confidence in table.itertuples(index=False, name=None):
            left, top, right, bottom = (float(corner) for corner in corners)
            boxes.setdefault(key, []).append(RegionBox(region, (left, top, right, bottom), float(confidence)))
    return boxes


def readings_path(run: Run, region: str, split: str, *, tta: bool = True) -> Path:
    """Where a run keeps what a region's CNN says of a split's hands, with or without test-time augmentation."""
    return run.path / layout.readings_stage(region, split, tta=tta) / layout.READINGS_FILE


def write_readings(path: Path, readings: dict[str, RegionReading]) -> None:
    """Keep what a region's CNN says of each hand on which the region was found."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial.npz")
    found = list(readings.values())
    np.savez(
        partial,
        ids=np.array(list(readings)),
        distributions=np.stack([reading.distribution for reading in found]),
        features=np.stack([reading.features for reading in found]),
        crops=np.array([reading.crops for reading in found]),
        confidences=np.array([reading.confidence for reading in found]),
    )
    partial.replace(path)


def read_readings(run: Run, split: str = "fusion", *, tta: bool = True) -> dict[str, list[RegionReading]]:
    """All regions' readings of a split's hands, by hand.

    Raises:
        InputError: the readings of a region are missing or damaged.
    """
    hands: dict[str, list[RegionReading]] = {}
    grid = run.config.grid
    for region in run.config.regions:
        path = readings_path(run, region, split, tta=tta)
        if not path.is_file():
            command = f"boneage-roi train-fusion --run {run.path}"
            raise InputError(f"{path}: no readings of {region} of the {split} hands; `{command}` makes them")
        with reading_stage(path), np.load(path) as kept:
            columns = [kept[name] for name in ("ids", "distributions", "features", "crops", "confidences")]
        for key, distribution, features, crops, confidence in zip(*columns, strict=True):
            reading = RegionReading(region, distribution, features, int(crops), float(confidence), grid)
            hands.setdefault(str(key), []).append(reading)
    return hands
