"""Files as they come: which may be read at all, and what a file is that is no radiograph."""

import re
import stat
from pathlib import Path

from boneage_roi.errors import InputError

LARGEST_FILE = 512 * 2**20
"""Bytes; the largest image that is read is smaller, uncompressed."""

_FOREIGN = {
    "a PDF": rb"%PDF",
    "a ZIP archive": rb"PK\x03\x04",
    "a gzip archive": rb"\x1f\x8b",
    "a 7z archive": rb"7z\xbc\xaf",
    "a RAR archive": rb"Rar!",
    "a HEIC photo": rb".{4}ftyp(hei|hev|mif1|msf1)",
    "an AVIF image": rb".{4}ftypavi",
    "a video": rb".{4}ftyp|RIFF.{4}AVI ",
    "a JPEG XL image": rb"\xff\x0a|.{4}JXL ",
    "an OpenEXR image": rb"\x76\x2f\x31\x01",
    "a Photoshop file": rb"8BPS",
    "an Office document": rb"\xd0\xcf\x11\xe0",
    "an NRRD volume": rb"NRRD",
    "a NIfTI volume": rb".{344}(n\+1|ni1)\0",
    "an SVG drawing": rb"\s*(<\?xml[^>]*>)?\s*(<!--.*?-->\s*|<!DOCTYPE svg[^>]*>\s*)*<svg",
    "an HTML page": rb"\s*(<!--.*?-->\s*)*<(!doctype html|html)",
    "a text file": rb"[\t\n\r\f\x1b -\x7e\x80-\xff]{1,512}\Z",
}
"""Names of what people mistake for a radiograph, and how its first 512 bytes look."""


def check_file(path: Path) -> None:
    """Refuse what cannot be read whole, because it is no file, may never end, or would not fit into memory.

    Raises:
        InputError: no such file, a folder, a pipe, a socket or a device, out of reach, empty, or over 512 MB.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        what = "is a link to a file that is not there" if path.is_symlink() else "no such file"
        raise InputError(f"{path}: {what}; check the path") from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        raise unreadable(path, error) from error
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"{path}: is a folder; give an image file")
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path}: is a pipe, a socket or a device; give an image file")
    check_size(str(path), status.st_size)


def check_size(name: str, size: int) -> None:
    """Refuse a file of a name that is empty or would not fit into memory.

    Raises:
        InputError: it has 0 bytes, or over 512 MB.
    """
    if size == 0:
        raise InputError(f"{name}: the file is empty; copy or export it again")
    if size > LARGEST_FILE:
        raise InputError(f"{name}: the file is larger than {LARGEST_FILE // 2**20} MB; export a single radiograph")


def read_file(path: Path) -> bytes:
    """All of a file.

    Raises:
        InputError: as :func:`check_file`.
    """
    check_file(path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: OSError | ValueError) -> InputError:
    """What to say of a file or folder that the operating system does not give."""
    reason = getattr(error, "strerror", None) or error
    return InputError(f"{path}: cannot be read ({reason}); check the path and its permissions")


def foreign_kind(data: bytes) -> str | None:
    """What a file is that is no radiograph, such as "a PDF"; None when it is not known."""
    kinds = (kind for kind, start in _FOREIGN.items() if re.match(start, data[:512], re.DOTALL | re.IGNORECASE))
    return next(kinds, None)
