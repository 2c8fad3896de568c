"""Tables as Parquet files, for programs that read millions of rows."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boneage_roi.files import writing
from boneage_roi.outputs.extras import require
from boneage_roi.outputs.files import GrowingFile, OutputFiles
from boneage_roi.outputs.records import TEXTS, result_columns, result_row
from boneage_roi.pipeline.batch import Outcome

if TYPE_CHECKING:
    import pyarrow

ROWS_A_GROUP = 10_000
"""Rows that are in memory until they are written."""


class ParquetWriter:
    """Rows into a Parquet file, in groups of :data:`ROWS_A_GROUP`; the same rows give the same bytes.

    Args:
        path: the file; ``NAME.partial`` until it is complete.
        columns: text where they are in :data:`boneage_roi.outputs.records.TEXTS`, else numbers.
        outputs: what may be written.
    """

    def __init__(self, path: Path, columns: Sequence[str], outputs: OutputFiles) -> None:
        require("archive", "a Parquet file", "pyarrow")
        self._file = GrowingFile(path, outputs)
        self._columns = columns
        self._rows: list[dict[str, Any]] = []

    def open(self) -> None:
        """Begin."""
        import pyarrow
        from pyarrow import parquet

        types = [(name, pyarrow.string() if name in TEXTS else pyarrow.float64()) for name in self._columns]
        self._schema = pyarrow.schema(types)
        self._file.open()
        self._writer = parquet.ParquetWriter(self._file.stream, self._schema)

    def write(self, row: dict[str, Any]) -> None:
        """Add a row; what is "" or None is null."""
        self._rows.append({name: None if row[name] == "" else row[name] for name in self._columns})
        if len(self._rows) == ROWS_A_GROUP:
            self._flush()

    def close(self, complete: bool) -> None:
        """Give a complete file its name."""
        if complete:
            self._flush()
        with writing(self._file.path):
            self._writer.close()
        self._file.close(complete)

    def _flush(self) -> None:
        if self._rows:
            with writing(self._file.path):
                self._writer.write_table(_table(self._rows, self._schema))
            self._rows.clear()


def _table(rows: list[dict[str, Any]], schema: "pyarrow.Schema") -> "pyarrow.Table":
    import pyarrow

    texts = [
        {name: _text(cell) if isinstance(cell, str) else cell for name, cell in row.items()} for row in rows
    ]  # the bytes of a file's name that are no text
    return pyarrow.Table.from_pylist(texts, schema)


def _text(cell: str) -> str:
    return cell.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


class ParquetSink:
    """One row an outcome, with the columns of :func:`boneage_roi.outputs.records.result_columns`.

    Args:
        path: the file; ``NAME.partial`` until it is complete.
        regions: of the bundle; a column each.
        outputs: what may be written.

    Raises:
        InputError: pyarrow is not there; the message says what to install.
    """

    def __init__(self, path: Path, regions: Sequence[str], outputs: OutputFiles) -> None:
        self._writer = ParquetWriter(path, result_columns(regions), outputs)
        self._regions = regions
        self.open, self.close = self._writer.open, self._writer.close

    def write(self, outcome: Outcome) -> None:
        """Add a row."""
        self._writer.write(result_row(outcome, self._regions))
