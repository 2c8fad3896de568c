"""What the JSON importers share: an object from a file, and numbers out of it."""

import json
from pathlib import Path
from typing import Any

from boneage_roi.errors import InputError


def read_json_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        InputError: the file is missing, not JSON, or something else than an object.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not readable JSON ({error})") from None
    if not isinstance(value, dict):
        raise InputError(f"{path}: the JSON must be an object with names, not a {type(value).__name__}")
    return value


def numbers(value: Any, count: int, where: str) -> list[float]:
    """Exactly ``count`` numbers.

    Raises:
        InputError: something else.
    """
    if not isinstance(value, list) or len(value) != count or not all(isinstance(item, int | float) for item in value):
        raise InputError(f"{where} must be {count} numbers")
    return [float(item) for item in value]
