"""Records that were made, kept as they come: what a killed run leaves for the next one."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from boneage_roi.errors import InputError
from boneage_roi.files import writing

_START = b'{"key": "'
_KEY = 32


class RecordJournal:
    """A file with a JSON object a line, ``key`` and ``record``; half a line at its end, left by a kill, is nothing.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._places: dict[bytes, int] = {}
        self._file: BinaryIO | None = None

    def open(self, *, resume: bool) -> None:
        """Begin: with what is there already, or anew.

        Raises:
            InputError: the file cannot be written, or is no journal.
        """
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("a+b")
            self._file.seek(0)
            if not _START.startswith(self._file.read(len(_START))):
                raise InputError(f"{self.path}: is there, and no journal; choose another place for the results")
            if not resume:
                self._file.truncate(0)
            self._file.seek(0)
            end = 0
            for line in self._file:
                if not line.endswith(b"\n"):
                    break
                if line.startswith(_START):
                    self._places[line[len(_START) : len(_START) + _KEY]] = end
                end += len(line)
            self._file.truncate(end)

    def __contains__(self, key: str) -> bool:
        return key.encode() in self._places

    def get(self, key: str) -> dict[str, Any] | None:
        """The record with a key; None when there is none, or when it is damaged."""
        place = self._places.get(key.encode())
        if place is None or self._file is None:
            return None
        self._file.seek(place)
        try:
            entry = json.loads(self._file.readline())
            return dict(entry["record"]) if entry["key"] == key else None
        except (ValueError, TypeError, KeyError):
            return None

    def add(self, key: str, record: Mapping[str, Any]) -> None:
        """Keep a record: another process sees it when this returns.

        Raises:
            InputError: it cannot be written.
        """
        assert self._file is not None
        line = json.dumps({"key": key, "record": record}, allow_nan=False) + "\n"
        with writing(self.path):
            self._file.seek(0, 2)
            self._file.write(line.encode())
            self._file.flush()

    def empty(self) -> None:
        """Forget everything: it is in a complete file."""
        assert self._file is not None
        self._places.clear()
        with writing(self.path):
            self._file.truncate(0)

    def close(self, *, remove: bool) -> None:
        """End; ``remove`` takes the file away."""
        if self._file is not None:
            self._file.close()
            self._file = None
        if remove:
            self.path.unlink(missing_ok=True)
