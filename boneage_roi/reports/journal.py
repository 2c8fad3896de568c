"""The rows of a long evaluation, kept as they come, so that a stopped one goes on where it was."""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from boneage_roi.files import write_atomically, writing
from boneage_roi.outputs.csv import csv_header, csv_text


class Journal:
    """Rows by their ``key``: those of ``path`` from a finished evaluation, and of ``path.partial`` from a stopped one.

    Failed hands are not kept between evaluations: they get another try.

    Args:
        path: the table of predictions; None keeps rows in memory only.

    Attributes:
        known: rows by key, as text.
    """

    def __init__(self, path: Path | None) -> None:
        self._partial = None if path is None else path.with_name(path.name + ".partial")
        self.known: dict[str, dict[str, Any]] = {}
        for file in (path, self._partial):
            if file is not None and file.is_file():
                self.known |= {row["key"]: row for row in _rows(file) if row.get("status") == "ok" and row.get("key")}

    @contextmanager
    def open(self, columns: Sequence[str]) -> Iterator[Callable[[dict[str, Any]], None]]:
        """Keep more rows: yields a function that takes one; it is on disk when that returns.

        Raises:
            InputError: the file cannot be written.
        """
        self.known = {key: row for key, row in self.known.items() if set(row) == set(columns)}
        if self._partial is None:
            yield self._remember
            return
        path = self._partial
        write_atomically(path, csv_header(columns) + csv_text(self.known.values(), columns))
        with path.open("ab") as file:

            def keep(row: dict[str, Any]) -> None:
                self._remember(row)
                with writing(path):
                    file.write(csv_text([row], columns).encode("utf-8", "surrogateescape"))
                    file.flush()

            yield keep

    def remove(self) -> None:
        """Take the partial file away: the table is complete."""
        if self._partial is not None:
            self._partial.unlink(missing_ok=True)

    def _remember(self, row: dict[str, Any]) -> None:
        self.known[row["key"]] = row


def _rows(path: Path) -> list[dict[str, Any]]:
    text = path.read_bytes().decode("utf-8", "surrogateescape")
    complete = text.rpartition("\n")[0]  # a kill may have left half a line
    try:
        return [row for row in csv.DictReader(io.StringIO(complete)) if None not in row and None not in row.values()]
    except csv.Error:  # not a table that an evaluation wrote
        return []
