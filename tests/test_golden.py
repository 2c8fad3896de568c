"""The ages of the examples stay what they were; see ``golden.py`` for when they may change."""

import json

import pytest

from tests.bundles import needs_bundle
from tests.golden import FILE, read_examples

CLOSE = 0.5
"""Months. Other processors and versions of ONNX Runtime round otherwise."""


@needs_bundle
@pytest.mark.parametrize(("views", "tta"), [("with test-time augmentation", True), ("without", False)])
def test_18_18_ages_and_intervals_of_the_examples(views: str, tta: bool) -> None:
    golden, read = json.loads(FILE.read_text(encoding="utf-8"))[views], read_examples(tta=tta)
    assert read.keys() == golden.keys()
    assert len(read) == 10
    for name, ages in golden.items():
        assert read[name] == pytest.approx(ages, abs=CLOSE), name
