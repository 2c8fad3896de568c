"""What several test files need."""

from pathlib import Path

import pytest

RSNA = Path(__file__).parents[1].parent / "shared/data/rsna"
"""The real radiographs, beside the checkout; tests/real/ skips without them."""

requires_rsna = pytest.mark.skipif(not RSNA.is_dir(), reason="needs the radiographs of ../shared/data")
