"""What several test files need."""

import re
from collections.abc import Callable, Generator
from pathlib import Path

import cv2
import numpy as np
import pytest

RSNA = Path(__file__).parents[1].parent / "shared/data/rsna"
"""The real radiographs, beside the checkout."""

requires_rsna = pytest.mark.rsna

RSNA_FIXTURES = {"segmented_run"}
"""Fixtures that are made of RSNA's radiographs: a test that uses one is marked like those that name the mark."""


TRAINING_PACKAGES = (
    *("torch", "torchvision", "lightning", "lightgbm", "segmentation_models_pytorch", "timm", "ultralytics"),
    *("sklearn", "scipy", "onnx", "onnxmltools", "onnxconverter_common", "skl2onnx"),
)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Where the training packages are not installed, skip the files that import them."""
    report = yield
    missing = re.search(r"No module named '(\w+)", str(report.longrepr)) if report.failed else None
    if missing and missing[1] in TRAINING_PACKAGES:
        report.outcome = "skipped"
        report.longrepr = (str(collector.path), 0, f"needs the training packages ({missing[1]} is not there)")
    return report


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests that read RSNA's radiographs, and skip them where there are none: ``pytest -m "not rsna"``.

    Those that start a Ray cluster take minutes and run when they are asked for: ``pytest -m ray``.
    """
    asked_for_ray = "ray" in str(config.getoption("markexpr"))
    for item in items:
        if item.get_closest_marker("ray") and not asked_for_ray:
            item.add_marker(pytest.mark.skip(reason="runs with -m ray"))
        if RSNA_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.rsna)
        if item.get_closest_marker("rsna") and not RSNA.is_dir():
            item.add_marker(pytest.mark.skip(reason="needs the radiographs of ../shared/data"))


@pytest.fixture
def image() -> Callable[[Path], Path]:
    """Writes a small picture with something on it."""

    def write(path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(0).integers(0, 255, (80, 70), dtype=np.uint8)
        assert cv2.imwrite(str(path), pixels)
        return path

    return write
