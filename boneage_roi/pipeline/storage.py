"""Images that are no files of this machine: objects of a store, and members of TAR and ZIP archives, read in place."""

import io
import re
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

from boneage_roi.errors import InputError
from boneage_roi.imaging.files import LARGEST_FILE, check_size

ARCHIVES = (".tar", ".zip")
"""Endings of archives that are read in place; a compressed TAR can only be read from its start."""

PROTOCOLS = {"s3": "s3fs", "gs": "gcsfs", "abfs": "adlfs", "abfss": "adlfs", "file": "fsspec", "memory": "fsspec"}
"""Stores, and the package that opens each; fsspec finds the credentials where the store's own tools look for them."""

MOST_MEMBERS = 10_000_000
"""Of an archive; a directory with more is no set of radiographs."""


@dataclass(frozen=True)
class Place:
    """Where an image's bytes are.

    Attributes:
        url: the object, or the archive: a URL, or a path of this machine.
        member: its name in the archive; empty for an object. It is never used as a path.
        offset: of a TAR's member: where its bytes begin.
        size: bytes; None when nobody has said it yet.
        mark: size and time, or the store's own mark of the content; empty when nobody has said it yet.
    """

    url: str
    member: str = ""
    offset: int | None = None
    size: int | None = None
    mark: str = ""

    @property
    def name(self) -> str:
        """What outputs call the image: for a member ``tar://MEMBER::ARCHIVE``."""
        kind = "zip" if self.offset is None else "tar"
        return f"{kind}://{self.member}::{self.url}" if self.member else self.url


class NamedBytes(io.BytesIO):
    """Bytes that messages can call by a name."""

    def __init__(self, data: bytes, name: str) -> None:
        super().__init__(data)
        self.name = name


def is_url(text: object) -> bool:
    """Whether a text is a URL, such as ``s3://bucket/hand.png``.

    >>> is_url("s3://bucket/hand.png"), is_url("C:/hands")
    (True, False)
    """
    return re.match(r"[a-z][a-z0-9+.-]+://", str(text)) is not None


def is_archive(name: str) -> bool:
    """Whether a name ends as an archive's."""
    return name.lower().endswith(ARCHIVES)


def read_place(place: Place) -> NamedBytes:
    """The bytes of an image.

    Raises:
        InputError: it cannot be read, is empty, or larger than 512 MB, also when unpacked.
    """
    size = info(place.url)["size"] if place.size is None else place.size
    check_size(place.name, size)
    try:
        if not place.member:
            data = _read_span(place.url, 0, size)
        elif place.offset is not None:
            data = _read_span(place.url, place.offset, size)
        else:
            data = _unpacked(place)
    except InputError:
        raise
    except Exception as error:  # each store has errors of its own
        raise _unreachable(place.name, error) from error
    return NamedBytes(data, place.name)


def members(url: str) -> Iterator[tuple[Place, bytes | None]]:
    """The files in an archive, in its order; of small JSON files the content too.

    Raises:
        InputError: it cannot be read, or is no archive.
    """
    try:
        with open_binary(url) as file:
            yield from (_zip_members if url.lower().endswith(".zip") else _tar_members)(url, file, info(url)["mark"])
    except InputError:
        raise
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, ValueError) as error:
        raise InputError(f"{url}: not an archive that can be read ({error}); make it again, TAR uncompressed") from None
    except Exception as error:
        raise _unreachable(url, error) from error


def objects(url: str, *, recursive: bool) -> Iterator[Place]:
    """The objects under a URL, sorted by name.

    Raises:
        InputError: the store cannot be reached.
    """
    system, path = _system(url)
    try:
        listed = system.find(path, detail=True).values() if recursive else system.ls(path, detail=True)
        found = {one["name"]: one for one in listed}
    except Exception as error:
        raise _unreachable(url, error) from error
    for name in sorted(found):
        if found[name]["type"] == "file":
            # As the URL was given: it may hold what the store's own names leave out, such as Azure's account.
            below = name.startswith(path.rstrip("/") + "/")
            given = url.rstrip("/") + name[len(path.rstrip("/")) :] if below else system.unstrip_protocol(name)
            yield Place(given, size=int(found[name]["size"]), mark=_mark(found[name]))


def is_folder(url: str) -> bool:
    """Whether something lies under a URL.

    Raises:
        InputError: the store cannot be reached.
    """
    system, path = _system(url)
    try:
        return bool(url.endswith("/") or system.isdir(path))
    except Exception as error:
        raise _unreachable(url, error) from error


def info(url: str) -> dict[str, Any]:
    """``size`` in bytes and ``mark`` of a file or an object.

    Raises:
        InputError: there is none.
    """
    try:
        if not is_url(url):
            status = Path(url).stat()
            return {"size": status.st_size, "mark": f"{status.st_size} {status.st_mtime_ns}"}
        system, path = _system(url)
        about = system.info(path)
        return {"size": int(about["size"] or 0), "mark": _mark(about)}
    except InputError:
        raise
    except Exception as error:
        raise _unreachable(url, error) from error


def open_binary(url: str) -> BinaryIO:
    """Open a file or an object for reading."""
    if not is_url(url):
        return Path(url).open("rb")
    system, path = _system(url)
    file: BinaryIO = system.open(path, "rb", block_size=2**20)
    return file


def _read_span(url: str, start: int, size: int) -> bytes:
    if is_url(url):
        system, path = _system(url)
        return bytes(system.cat_file(path, start=start, end=start + size))
    with Path(url).open("rb") as file:
        file.seek(start)
        return file.read(size)


def _unpacked(place: Place) -> bytes:
    archive = _open_zip(place.url, place.mark)
    with archive.open(place.member) as file:
        data = file.read(LARGEST_FILE + 1)  # what its directory says of its size may be a lie
    check_size(place.name, len(data))
    return data


@cache
def _open_zip(url: str, mark: str) -> zipfile.ZipFile:
    """An archive stays open: its directory is read once a process."""
    return zipfile.ZipFile(open_binary(url))


def _tar_members(url: str, file: BinaryIO, mark: str) -> Iterator[tuple[Place, bytes | None]]:
    with closing(tarfile.open(fileobj=file, mode="r:")) as archive:
        for count, member in enumerate(archive):
            if count > MOST_MEMBERS:
                raise InputError(f"{url}: holds more than {MOST_MEMBERS} files")
            archive.members = []  # type: ignore[attr-defined]  # it would keep them all
            if member.isreg() and not member.issparse():
                place = Place(url, member.name, member.offset_data, member.size, mark)
                yield place, _read_span(url, member.offset_data, member.size) if _describes(place) else None


def _zip_members(url: str, file: BinaryIO, mark: str) -> Iterator[tuple[Place, bytes | None]]:
    with closing(zipfile.ZipFile(file)) as archive:
        listed = archive.infolist()
        if len(listed) > MOST_MEMBERS:
            raise InputError(f"{url}: holds more than {MOST_MEMBERS} files")
        for member in listed:
            if not member.is_dir():
                place = Place(url, member.filename, None, member.file_size, mark)
                yield place, archive.open(member).read(LARGEST_TEXT) if _describes(place) else None


LARGEST_TEXT = 2**16
"""Bytes of what a JSON file beside an image may say of it."""


def _describes(place: Place) -> bool:
    """Whether a member is a small JSON file."""
    return place.member.lower().endswith(".json") and (place.size or 0) <= LARGEST_TEXT


def _mark(about: dict[str, Any]) -> str:
    stamp = next((about[key] for key in ("ETag", "etag", "md5Hash", "LastModified", "mtime") if about.get(key)), "")
    return f"{about.get('size')} {stamp}"


def _system(url: str) -> tuple[Any, str]:
    """The store of a URL, and the object's path in it."""
    protocol = url.partition("://")[0]
    if "::" in url:
        raise InputError(f"{url}: URLs inside URLs are not read")
    if protocol not in PROTOCOLS:
        raise InputError(f"{url}: {protocol}:// is not read; known are {', '.join(f'{name}://' for name in PROTOCOLS)}")
    missing = [name for name in ("fsspec", PROTOCOLS[protocol]) if find_spec(name) is None]
    if missing:
        raise InputError(f'{url}: needs {missing[0]}; install it with: pip install "boneage-roi[archive]" {missing[0]}')
    import fsspec

    try:
        system, path = fsspec.core.url_to_fs(url)
    except Exception as error:
        raise _unreachable(url, error) from error
    return system, str(path)


def _unreachable(name: str, error: Exception) -> InputError:
    said = " ".join(str(error).split())[:200] or type(error).__name__
    return InputError(f"{name}: cannot be read ({said}); check the name, the network and the credentials")
