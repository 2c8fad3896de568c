"""Opening a bundle's numbers."""

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
