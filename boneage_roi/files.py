"""Writing files and folders whole or not at all, and opening a bundle's numbers."""

import ctypes
import json
import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, TypeVar
from uuid import uuid4

from boneage_roi.errors import InputError

T = TypeVar("T")


def read_json(path: Path, what: str, build: Callable[[Any], T]) -> T:
    """Make a value of a JSON file.

    Args:
        what: "an intervals file", for the message.
        build: gives the value; whatever usual error it raises means that the file holds something else.

    Raises:
        InputError: the file is missing or holds something else.
    """
    try:
        return build(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        raise InputError(f"{path}: not {what}; the bundle is damaged") from None


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the operating system says while a file is written into one line that names the file.

    Raises:
        InputError: the disk is full, the folder is read-only, the name is too long ...
    """
    try:
        yield
    except BrokenPipeError:  # whoever read a pipe has left: the command ends in silence
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"{path}: cannot be written ({reason}); make room or choose another place") from error


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file so that a reader never sees half of it, not even after a power cut; missing folders are made.

    A link is followed. A pipe or a device (``/dev/null``) is opened and written to.

    Raises:
        InputError: the file cannot be written; the message names it.
    """
    data = content.encode() if isinstance(content, str) else content
    with writing(path):
        if is_special(path):
            path.write_bytes(data)
            return
        place = Path(os.path.realpath(path))
        place.parent.mkdir(parents=True, exist_ok=True)
        # A name of its own: two programs that write the same file at once do not mix.
        partial = place.with_name(f".{uuid4().hex[:8]}.partial")
        try:
            with partial.open("xb") as file:
                file.write(data)
                sync(file)
            partial.replace(place)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        sync_folder(place.parent)


def is_special(path: Path) -> bool:
    """Whether a path is a pipe, a socket or a device, or, as ``/dev/stdout``, an open stream."""
    if str(path).startswith("/dev/"):
        return True
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def sync(file: BinaryIO) -> None:
    """Wait until what was written to a file is on the disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until a folder's names are on the disk; systems that cannot are passed over."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def replace_folder(folder: Path) -> Iterator[Path]:
    """Build a folder anew beside the old one, then swap the two: a kill at any moment leaves a whole one in place.

    Example::

        with replace_folder(run.bundle) as building:
            (building / "manifest.json").write_text(...)

    Args:
        folder: the folder to replace; need not be there. A link is followed.

    Yields:
        An empty folder to fill. When the block raises, it is removed and the old folder stays.

    Raises:
        InputError: it cannot be written; the message names it.
    """
    place = Path(os.path.realpath(folder))
    building = place.with_name(f".{place.name}.partial")
    with writing(folder):
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(parents=True)
        try:
            yield building
            _sync_tree(building)
            if not place.exists():
                building.rename(place)
            elif not _exchange(building, place):
                old = place.with_name(f".{place.name}.old")
                shutil.rmtree(old, ignore_errors=True)
                place.rename(old)
                building.rename(place)
                shutil.rmtree(old, ignore_errors=True)
            sync_folder(place.parent)
        finally:
            shutil.rmtree(building, ignore_errors=True)


def _sync_tree(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir():
            sync_folder(path)
        elif path.is_file():
            with path.open("rb+") as file:
                os.fsync(file.fileno())
    sync_folder(folder)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two folders' names in one step; False where the system cannot."""
    names = (os.fsencode(one), os.fsencode(other))
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None, use_errno=True)
        if sys.platform == "darwin":
            return bool(libc.renamex_np(*names, 2) == 0)  # RENAME_SWAP
        if sys.platform == "linux":
            here = -100  # AT_FDCWD
            return bool(libc.renameat2(here, names[0], here, names[1], 2) == 0)  # RENAME_EXCHANGE
    return False
