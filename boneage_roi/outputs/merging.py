"""Shares and parts of one run into one file, as one machine would have written it."""

import csv
import heapq
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

from boneage_roi.errors import InputError
from boneage_roi.outputs.csv import csv_header
from boneage_roi.outputs.files import GrowingFile, OutputFiles
from boneage_roi.outputs.parquet import ParquetWriter
from boneage_roi.outputs.share_files import ShareFile, note_of, read_share_file


class Writer(Protocol):
    """Takes rows of one kind of file."""

    def open(self) -> None:
        """Begin."""

    def write(self, row: Any) -> None:
        """Add a row."""

    def close(self, complete: bool) -> None:
        """End."""


def merge(parts: Iterable[str | Path], output: Path, *, overwrite: bool = False) -> int:
    """Put shares and parts together, in the order of the inputs.

    Args:
        parts: files that ``predict --shard`` or ``--part-rows`` wrote, or folders of them; their notes lie beside them.
        output: the file; ends as the parts do.
        overwrite: write over a file that this command did not make.

    Returns:
        How many rows there are.

    Raises:
        InputError: a part is missing, is there twice, has been changed, or was made of other inputs or otherwise.
    """
    paths = list(_files(parts))
    ending = output.suffix.lower()
    strangers = [path for path in paths if path.suffix.lower() != ending]
    if strangers:
        raise InputError(f"{strangers[0]}: the parts and {output.name} must end in the same way")
    if ending not in ROWS:
        raise InputError(f"{output}: only {', '.join(ROWS)} files can be put together")
    notes = [read_share_file(path) for path in paths]
    _check_alike(paths, notes)
    _check_all(paths, notes)
    rows, make_writer = ROWS[ending]
    writer = make_writer(output, paths, OutputFiles("merge", [*paths, *map(note_of, paths)], overwrite=overwrite))
    writer.open()
    complete = False
    try:
        streams = [
            zip(note.positions, rows(path), strict=True) for path, note in zip(paths, notes, strict=True) if note.steps
        ]
        for _, row in heapq.merge(*streams, key=lambda placed: placed[0]):
            writer.write(row)
        complete = True
    finally:
        writer.close(complete)
    return notes[0].listed


def _files(parts: Iterable[str | Path]) -> Iterator[Path]:
    found = False
    for part in map(Path, parts):
        inside = sorted(path for path in part.iterdir() if note_of(path).is_file()) if part.is_dir() else [part]
        if not inside:
            raise InputError(f"{part}: no parts in this folder; give what `predict --part-rows` wrote")
        yield from inside
        found = True
    if not found:
        raise InputError("no parts; give files or folders")


def _check_alike(paths: Sequence[Path], notes: Sequence[ShareFile]) -> None:
    first = notes[0]
    for path, note in zip(paths, notes, strict=True):
        if note.made_by != first.made_by:
            raise InputError(f"{path}: made by {note.made_by}; {paths[0]} by {first.made_by}; read one of them again")
        if (note.listed, note.listing) != (first.listed, first.listing):
            raise InputError(
                f"{path}: made of another list of {note.listed} inputs than {paths[0]} ({first.listed}); "
                "give every share the same inputs"
            )


def _check_all(paths: Sequence[Path], notes: Sequence[ShareFile]) -> None:
    """Every row once."""
    owner = bytearray(notes[0].listed)
    for path, note in zip(paths, notes, strict=True):
        for place in note.positions:
            if not 0 <= place < len(owner) or owner[place]:
                raise InputError(f"{path}: its rows are there twice; give each part once")
            owner[place] = 1
    lacking = owner.count(0)
    if lacking:
        there = {(note.shard, note.shards) for note in notes}
        shards = notes[0].shards
        absent = [f"{index}/{shards}" for index in range(shards) if (index, shards) not in there]
        which = f"shards {', '.join(absent[:5])}" if absent else "some parts"
        raise InputError(f"{lacking} of {len(owner)} rows are missing: give {which} too")


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        yield from file


def _cells(path: Path) -> Iterator[list[str]]:
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        table = csv.reader(file)
        next(table)
        yield from table


def _records(path: Path) -> Iterator[dict[str, Any]]:
    from pyarrow import parquet

    with closing(parquet.ParquetFile(path)) as file:
        for batch in file.iter_batches(1000):
            yield from batch.to_pylist()


class _CsvWriter(GrowingFile):
    """Cells as they stand in the parts."""

    def __init__(self, path: Path, parts: Sequence[Path], outputs: OutputFiles) -> None:
        super().__init__(path, outputs)
        with parts[0].open(encoding="utf-8", newline="") as file:
            self._columns = next(csv.reader(file))

    def open(self) -> None:
        super().open()
        super().write(csv_header(self._columns))

    def write(self, row: Any) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(row)
        super().write(text.getvalue())


def _lines_writer(path: Path, parts: Sequence[Path], outputs: OutputFiles) -> Writer:
    return GrowingFile(path, outputs)


def _parquet_writer(path: Path, parts: Sequence[Path], outputs: OutputFiles) -> Writer:
    from pyarrow import parquet

    return ParquetWriter(path, parquet.read_schema(parts[0]).names, outputs)


ROWS: dict[str, tuple[Callable[[Path], Iterator[Any]], Callable[[Path, Sequence[Path], OutputFiles], Writer]]] = {
    ".csv": (_cells, _CsvWriter),
    ".jsonl": (_lines, _lines_writer),
    ".parquet": (_records, _parquet_writer),
}
"""How the rows of each kind of file are read one after the other, and written."""
