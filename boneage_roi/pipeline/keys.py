"""What a row rests on, in one short text: two that are equal need not be read twice."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from boneage_roi import __version__
from boneage_roi.errors import InputError
from boneage_roi.pipeline.item import Item
from boneage_roi.pipeline.storage import Place, info


def row_key(item: Item, made_by: str, mark: str) -> str:
    """Hash of all that the row of an image rests on.

    Args:
        item: the image, and what is known of the child.
        made_by: the bundle and how it is used, as a :class:`boneage_roi.pipeline.settings.ReaderSettings` says it.
        mark: the file's content, from :func:`content_mark` or :func:`file_mark`.

    Returns:
        32 hexadecimal digits; the package's version is part of them.

    >>> row_key(Item("a.png"), "default 12ab", "100 5") == row_key(Item("a.png"), "default 12ab", "100 6")
    False
    """
    said = asdict(item) | {"image": mark, "bundle": made_by, "package": __version__}
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()[:32]


def content_mark(path: str) -> str:
    """SHA-256 of a file: nothing that looks unchanged is missed, but the whole file is read."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):
        return "unreadable"


def file_mark(item: Item) -> str:
    """Size and time of change of an image, or its store's own mark: known at once, as suits an archive."""
    try:
        place = Place(item.path) if item.place is None else item.place
        return place.mark or str(info(place.url)["mark"])
    except InputError:
        return "unreadable"
