"""Where results may be written: never over an input, nor over what somebody else made."""

import hashlib
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from boneage_roi.errors import InputError
from boneage_roi.files import is_special, sync, sync_folder, write_atomically, writing

WRITTEN = ".boneage-roi-written"
"""Lists, in every folder that a command writes results to, which files it made: a JSON object a line."""


class OutputFiles:
    """The files that one command writes: never over an input, nor over a file that the same command did not make.

    What it makes is listed in :data:`WRITTEN` of each folder, with its SHA-256: a file that somebody changed since
    then, or put there, stays as it is.

    Args:
        command: who writes, such as "predict".
        inputs: files that must stay as they are; links to them count.
        overwrite: write over files that others made; never over inputs.
    """

    def __init__(self, command: str, inputs: Iterable[str | Path] = (), *, overwrite: bool = False) -> None:
        self.command = command
        self.overwrite = overwrite
        self._inputs = inputs
        self._written: dict[Path, dict[str, set[str]]] = {}
        self._made_of: dict[tuple[Path, str], str] = {}

    @cached_property
    def _identities(self) -> set[tuple[int, int]]:
        """Of the inputs that are there: a million take seconds, and a new file cannot be one of them."""
        return {identity for path in self._inputs if (identity := _identity(path))}

    def claim(self, path: Path) -> None:
        """Make sure that a file may be written, before work begins.

        Raises:
            InputError: it is an input, a folder, or a file that this command did not make.
        """
        if path.is_dir():
            raise InputError(f"{path}: is a folder; give the name of a file")
        if is_special(path):
            return
        self.refuse_inputs(path)
        place = next(place for place in path.parents if os.path.exists(place))  # noqa: PTH110  no error
        if not place.is_dir():
            raise InputError(f"{place}: is a file, and no folder to write to; choose another place")
        if not self.overwrite and os.path.lexists(path) and not self.made(path):
            raise InputError(
                f"{path}: is there, and not as `{self.command}` wrote it; choose another place, or give --overwrite"
            )

    def refuse_inputs(self, path: Path) -> None:
        """Make sure that a path is no input by any name.

        Raises:
            InputError: it is one.
        """
        identity = _identity(path)
        if identity is not None and identity in self._identities:
            raise InputError(f"{path}: is an input; write to another place")

    def write(self, path: Path, content: str | bytes) -> None:
        """Write a file atomically, if it may be.

        Raises:
            InputError: as :meth:`claim`, or it cannot be written.
        """
        self.claim(path)
        data = content.encode() if isinstance(content, str) else content
        self.note(path, hashlib.sha256(data).hexdigest())
        write_atomically(path, data)

    def remove(self, path: Path) -> None:
        """Take a file away if it is there as this command wrote it."""
        if self.made(path):
            path.unlink()

    def remove_folder(self, folder: Path) -> None:
        """Take a folder away that holds no file but the list of what this command made in it."""
        if folder.is_dir() and {path.name for path in folder.iterdir()} <= {WRITTEN}:
            (folder / WRITTEN).unlink(missing_ok=True)
            folder.rmdir()
            self._written.pop(Path(os.path.realpath(folder)), None)

    def made(self, path: Path) -> bool:
        """Whether a file is there as this command wrote it."""
        place = Path(os.path.realpath(path))
        known = self._list_of(place.parent).get(place.name, ())
        with suppress(OSError):
            return bool(known) and place.is_file() and _digest(place) in known
        return False

    def note(self, path: Path, digest: str) -> None:
        """List a file as made by this command, just before it gets its name."""
        if is_special(path):
            return
        place = Path(os.path.realpath(path))
        known = self._list_of(place.parent).setdefault(place.name, set())
        if digest in known:
            return
        known.add(digest)
        self._append(place, {"file": place.name, "sha256": digest, "command": self.command})

    def seal(self, path: Path, made_of: str) -> None:
        """List what a complete file was made of, so that it need not be made again."""
        place = Path(os.path.realpath(path))
        if not is_special(path) and place.is_file():
            digest = _digest(place)
            self._append(place, {"file": place.name, "sha256": digest, "command": self.command, "made_of": made_of})
            self._made_of[place, digest] = made_of

    def sealed(self, path: Path) -> str | None:
        """What a file was made of; None unless it is there as this command wrote and sealed it."""
        place = Path(os.path.realpath(path))
        return self._made_of.get((place, _digest(place))) if self.made(path) else None

    def _append(self, place: Path, entry: dict[str, str]) -> None:
        with writing(place.parent / WRITTEN):
            place.parent.mkdir(parents=True, exist_ok=True)
            with (place.parent / WRITTEN).open("a", encoding="utf-8") as file:
                line = json.dumps(entry)
                file.write(f"\n{line}" if file.tell() else line)  # a kill may have left half a line

    def _list_of(self, folder: Path) -> dict[str, set[str]]:
        if folder not in self._written:
            self._written[folder] = self._read_list(folder / WRITTEN)
        return self._written[folder]

    def _read_list(self, path: Path) -> dict[str, set[str]]:
        files: dict[str, set[str]] = {}
        with suppress(OSError):
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                with suppress(ValueError, TypeError, KeyError):
                    entry = json.loads(line)
                    if entry["command"] == self.command:
                        files.setdefault(str(entry["file"]), set()).add(str(entry["sha256"]))
                        if "made_of" in entry:
                            self._made_of[path.parent / entry["file"], entry["sha256"]] = str(entry["made_of"])
        return files


class GrowingFile:
    """A file that grows as ``NAME.partial`` and gets its name when it is complete.

    A pipe or a device is written to as it is.

    Args:
        path: the file.
        outputs: what may be written.
    """

    def __init__(self, path: Path, outputs: OutputFiles) -> None:
        self.path = path
        self.partial = path if is_special(path) else path.with_name(path.name + ".partial")
        self._outputs = outputs

    def open(self) -> None:
        """Begin; a file from an earlier run stays until this one is complete.

        Raises:
            InputError: as :meth:`OutputFiles.claim`, or it cannot be written.
        """
        self._outputs.claim(self.path)
        self._outputs.refuse_inputs(self.partial)
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.partial.open("wb")

    @property
    def stream(self) -> BinaryIO:
        """The open file, for a library that writes to one."""
        return self._file

    def write(self, text: str) -> None:
        """Add text; another program sees it when this returns. Names of files that are no text stay the bytes they are.

        Raises:
            InputError: it cannot be written; the message names the file.
        """
        with writing(self.path):
            self._file.write(text.encode("utf-8", "surrogateescape"))
            self._file.flush()

    def close(self, complete: bool) -> None:
        """End; an incomplete file keeps the name ``NAME.partial``."""
        with writing(self.path):
            if not complete or self.partial == self.path:
                self._file.close()
                return
            sync(self._file)
            self._file.close()
            self._outputs.note(self.path, _digest(self.partial))
            self.partial.replace(os.path.realpath(self.path))
            sync_folder(self.path.parent)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _identity(path: str | Path) -> tuple[int, int] | None:
    """Device and inode of a file that is there."""
    try:
        status = os.stat(path)  # noqa: PTH116  of a million inputs; making a Path takes longer than asking
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino
