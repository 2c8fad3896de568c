"""Tables as CSV files, in which no cell is a formula."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from boneage_roi.outputs.files import GrowingFile, OutputFiles
from boneage_roi.outputs.records import result_columns, result_row
from boneage_roi.pipeline.batch import Outcome

if TYPE_CHECKING:
    import pandas as pd

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def plain_cell(value: object) -> object:
    """A value that a spreadsheet takes for what it is.

    Text that it would take for a formula gets an apostrophe in front (OWASP, CSV injection): file names may begin with
    an equals sign. Numbers stay.
    """
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value


def csv_text(rows: Iterable[Mapping[str, object]], columns: Sequence[str]) -> str:
    """Rows as lines of a CSV file, without the header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([plain_cell(row[name]) for name in columns] for row in rows)
    return text.getvalue()


def csv_header(columns: Sequence[str]) -> str:
    """The first line of a CSV file."""
    return csv_text([dict(zip(columns, columns, strict=True))], columns)


def frame_csv(table: "pd.DataFrame", float_format: str | None = None) -> str:
    """A table as the text of a CSV file; an empty cell for what is missing."""
    return table.map(plain_cell).rename(columns=plain_cell).to_csv(index=False, float_format=float_format)


class CsvSink:
    """One row an outcome, with the columns of :func:`boneage_roi.outputs.records.result_columns`.

    Args:
        path: the file; ``NAME.partial`` until it is complete.
        regions: of the bundle; a column each.
        outputs: what may be written.
    """

    def __init__(self, path: Path, regions: Sequence[str], outputs: OutputFiles) -> None:
        self._file = GrowingFile(path, outputs)
        self._regions = regions
        self._columns = result_columns(regions)

    def open(self) -> None:
        """Begin with the header."""
        self._file.open()
        self._file.write(csv_header(self._columns))

    def write(self, outcome: Outcome) -> None:
        """Add a row."""
        self._file.write(csv_text([result_row(outcome, self._regions)], self._columns))

    def close(self, complete: bool) -> None:
        """Give a complete file its name."""
        self._file.close(complete)
