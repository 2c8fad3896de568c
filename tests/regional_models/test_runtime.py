"""Reading a region with its exported network."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from boneage_roi.pipeline.bundle import DEFAULT_BUNDLE
from boneage_roi.regional_models.crops import SIX_VIEWS, cut_crops
from boneage_roi.regional_models.runtime import RegionReader
from boneage_roi.values import HandFrame, RegionBox, RegionReading
from tests.bundles import needs_bundle

NETWORK = DEFAULT_BUNDLE / "regions" / "epiphysis.onnx"
SIZE, MARGIN = (48, 48), 0.1


def a_frame() -> tuple[HandFrame, list[RegionBox]]:
    """Blots as smooth as an image, and three boxes in it."""
    random = np.random.default_rng(0)
    pixels = cv2.GaussianBlur(random.integers(0, 255, (512, 416), np.uint8), (0, 0), 4)
    pixels = cv2.normalize(pixels, np.empty_like(pixels), 0, 255, cv2.NORM_MINMAX)
    corners = [(60, 80, 100, 120), (200, 90, 240, 130), (300, 250, 350, 300)]
    return HandFrame(np.asarray(pixels, np.uint8), np.eye(2, 3)), [RegionBox("epiphysis", box, 0.9) for box in corners]


def mirrored(frame: HandFrame, boxes: list[RegionBox]) -> tuple[HandFrame, list[RegionBox]]:
    flipped = HandFrame(np.ascontiguousarray(frame.pixels[:, ::-1]), frame.to_frame)
    width = frame.pixels.shape[1] - 1
    corners = [(width - box.box[2], box.box[1], width - box.box[0], box.box[3]) for box in boxes]
    return flipped, [RegionBox(box.region, corner, 0.9) for box, corner in zip(boxes, corners, strict=True)]


def reader(*, tta: bool, path: Path = NETWORK) -> RegionReader:
    return RegionReader(path, "epiphysis", size=SIZE, margin=MARGIN, views=SIX_VIEWS if tta else SIX_VIEWS[:1])


def read(reader: RegionReader, frame: HandFrame, boxes: list[RegionBox]) -> RegionReading:
    reading = reader(frame, boxes, "F")
    assert reading is not None
    return reading


@needs_bundle
def test_test_time_augmentation_is_the_mean_of_all_views() -> None:
    frame, boxes = a_frame()
    plain, crops = reader(tta=False), [cut_crops(frame, boxes, "epiphysis", SIZE, MARGIN, view=v) for v in SIX_VIEWS]
    views = [plain.read([view], "F") for view in crops if view is not None]
    assert len(views) == len(SIX_VIEWS)
    assert views[0].expected_age == pytest.approx(read(plain, frame, boxes).expected_age, abs=1e-3)
    assert len({round(view.expected_age, 2) for view in views}) == len(views)
    mean = read(reader(tta=True), frame, boxes)
    np.testing.assert_allclose(mean.distribution, np.mean([view.distribution for view in views], axis=0), atol=1e-5)
    np.testing.assert_allclose(mean.features, np.mean([view.features for view in views], axis=0), atol=1e-4)


@needs_bundle
def test_a_mirrored_hand_reads_the_same_with_test_time_augmentation() -> None:
    frame, boxes = a_frame()
    moved = {
        tta: read(reader(tta=tta), *mirrored(frame, boxes)).expected_age
        - read(reader(tta=tta), frame, boxes).expected_age
        for tta in (True, False)
    }
    assert abs(moved[True]) < 0.3
    assert abs(moved[True]) < 0.2 * abs(moved[False])


@needs_bundle
def test_a_region_that_was_not_found_gives_no_reading() -> None:
    frame, boxes = a_frame()
    assert reader(tta=True)(frame, [replace(box, region="carpal") for box in boxes], "M") is None
