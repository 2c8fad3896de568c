"""What several test files need."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

RSNA = Path(__file__).parents[1].parent / "shared/data/rsna"
"""The real radiographs, beside the checkout; tests/real/ skips without them."""

requires_rsna = pytest.mark.skipif(not RSNA.is_dir(), reason="needs the radiographs of ../shared/data")


@pytest.fixture
def image() -> Callable[[Path], Path]:
    """Writes a small picture with something on it."""

    def write(path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(0).integers(0, 255, (80, 70), dtype=np.uint8)
        assert cv2.imwrite(str(path), pixels)
        return path

    return write
