"""Files of results, chosen by their ending."""

from collections.abc import Callable, Sequence
from pathlib import Path

from boneage_roi.errors import InputError
from boneage_roi.files import is_special
from boneage_roi.outputs.csv import CsvSink
from boneage_roi.outputs.files import OutputFiles
from boneage_roi.outputs.json import JsonLinesSink, JsonSink
from boneage_roi.outputs.parquet import ParquetSink
from boneage_roi.outputs.sink import Sink

RESULT_FILES: dict[str, Callable[[Path, Sequence[str], OutputFiles], Sink]] = {
    ".csv": CsvSink,
    ".json": JsonSink,
    ".jsonl": JsonLinesSink,
    ".parquet": ParquetSink,
}
"""Endings and what writes them: a sink is made of the file, the bundle's regions, and what may be written."""


def result_sink(path: Path, regions: Sequence[str], outputs: OutputFiles) -> Sink:
    """The sink for a file of results; a pipe or a device without an ending gets CSV.

    Raises:
        InputError: no kind of file ends so; the message lists the right endings.
    """
    ending = path.suffix.lower()
    if not ending and is_special(path):
        ending = ".csv"
    if path.is_dir():
        raise InputError(f"{path}: is a folder; give the name of a file")
    if ending not in RESULT_FILES:
        raise InputError(f"{path}: the name of a file of results ends in one of {', '.join(RESULT_FILES)}")
    return RESULT_FILES[ending](path, regions, outputs)
