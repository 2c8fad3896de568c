"""Pictures that commands wrote."""

from pathlib import Path
from typing import Any

import cv2
from numpy.typing import NDArray


def read_picture(path: Path | str, flags: int = cv2.IMREAD_COLOR) -> NDArray[Any]:
    """The pixels of a file that must be a picture."""
    pixels = cv2.imread(str(path), flags)
    assert pixels is not None, f"{path}: no picture"
    return pixels
