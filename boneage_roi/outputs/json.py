"""Outcomes as JSON: one array, or one object a line."""

import json
from collections.abc import Sequence
from pathlib import Path

from boneage_roi.outputs.files import GrowingFile, OutputFiles
from boneage_roi.outputs.records import result_record
from boneage_roi.pipeline.batch import Outcome


class JsonLinesSink:
    """One object a line (JSON Lines), with the names of :func:`boneage_roi.outputs.records.result_record`.

    Args:
        path: the file; ``NAME.partial`` until it is complete.
        regions: of the bundle.
        outputs: what may be written.
    """

    def __init__(self, path: Path, regions: Sequence[str], outputs: OutputFiles) -> None:
        self._file = GrowingFile(path, outputs)
        self._regions = regions

    def open(self) -> None:
        """Begin."""
        self._file.open()

    def write(self, outcome: Outcome) -> None:
        """Add a line."""
        self._file.write(json.dumps(result_record(outcome, self._regions), allow_nan=False) + "\n")

    def close(self, complete: bool) -> None:
        """Give a complete file its name."""
        self._file.close(complete)


class JsonSink:
    """One array of objects, as :class:`JsonLinesSink` has them; valid JSON only when it is complete."""

    def __init__(self, path: Path, regions: Sequence[str], outputs: OutputFiles) -> None:
        self._file = GrowingFile(path, outputs)
        self._regions = regions
        self._before = "[\n"

    def open(self) -> None:
        """Begin."""
        self._file.open()

    def write(self, outcome: Outcome) -> None:
        """Add an object."""
        record = json.dumps(result_record(outcome, self._regions), allow_nan=False)
        self._file.write(self._before + record)
        self._before = ",\n"

    def close(self, complete: bool) -> None:
        """End the array, and give a complete file its name."""
        if complete:
            self._file.write("[]\n" if self._before == "[\n" else "\n]\n")
        self._file.close(complete)
