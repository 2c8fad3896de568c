"""Writing files whole or not at all, and opening a bundle's numbers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

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


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file so that a reader never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(content.encode() if isinstance(content, str) else content)
    partial.replace(path)
