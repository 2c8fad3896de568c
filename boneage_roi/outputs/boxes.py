"""The corners of region boxes, as a CSV file."""

from pathlib import Path
from typing import Any

import numpy as np

from boneage_roi.outputs.csv import csv_header, csv_text
from boneage_roi.outputs.files import GrowingFile, OutputFiles
from boneage_roi.pipeline.batch import Outcome

CORNER_COLUMNS = ("path", "region", "name", "confidence", "x1", "y1", "x2", "y2", "x3", "y3", "x4", "y4")


def box_rows(outcome: Outcome) -> list[dict[str, Any]]:
    """The region boxes of a hand as rows of :data:`CORNER_COLUMNS`.

    A box is upright in the hand frame, hence turned in the radiograph: its four corners, in radiograph pixels, start at
    the frame's top left and go round clockwise. ``name`` is the growth plate or digit, "" where there is none to tell.
    """
    if outcome.analysis is None:
        return []
    rows = []
    for box in outcome.analysis.boxes:
        x1, y1, x2, y2 = box.box
        corners = np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], np.float64)
        numbers = outcome.analysis.frame.to_radiograph(corners).round(1).ravel().tolist()
        values = (outcome.item.path, box.region, box.name or "", round(box.confidence, 3), *numbers)
        rows.append(dict(zip(CORNER_COLUMNS, values, strict=True)))
    return rows


class BoxesSink:
    """One row a region box.

    Args:
        path: the CSV file; ``NAME.partial`` until it is complete.
        outputs: what may be written.
    """

    def __init__(self, path: Path, outputs: OutputFiles) -> None:
        self._file = GrowingFile(path, outputs)

    def open(self) -> None:
        """Begin with the header."""
        self._file.open()
        self._file.write(csv_header(CORNER_COLUMNS))

    def write(self, outcome: Outcome) -> None:
        """Add a row for each region of a hand."""
        self._file.write(csv_text(box_rows(outcome), CORNER_COLUMNS))

    def close(self, complete: bool) -> None:
        """Give a complete file its name."""
        self._file.close(complete)
