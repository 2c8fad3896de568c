"""Crops of a region, cut out of a drawn frame."""

import tracemalloc

import cv2
import numpy as np
import pytest

from boneage_roi.regional_models.crops import SIX_VIEWS, View, cut_crops
from boneage_roi.regions import REGIONS
from boneage_roi.values import HandFrame, RegionBox

SIZE = (64, 96)


@pytest.fixture
def frame() -> HandFrame:
    """A disc of radius 20 around (150, 200) in a dark frame."""
    pixels = np.zeros((512, 416), np.uint8)
    cv2.circle(pixels, (150, 200), 20, 255, cv2.FILLED)
    return HandFrame(pixels, np.eye(2, 3))


def box(region: str, x: float, y: float, width: float, height: float, confidence: float = 0.9) -> RegionBox:
    return RegionBox(region, (x - width / 2, y - height / 2, x + width / 2, y + height / 2), confidence)


def extent(crop: np.ndarray) -> tuple[int, int]:
    rows, columns = np.nonzero(crop > 127)
    return int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1


@pytest.mark.parametrize(("width", "height"), [(60, 60), (120, 60), (60, 140), (300, 300)])
def test_a_disc_stays_a_disc_in_the_middle(frame: HandFrame, width: float, height: float) -> None:
    crops = cut_crops(frame, [box("carpal", 150, 200, width, height)], "carpal", SIZE, margin=0.1)
    assert crops is not None
    assert crops.pixels.shape == (1, *SIZE)
    across, down = extent(crops.pixels[0])
    assert across == pytest.approx(down, abs=1)
    scale = min(SIZE[1] / width, SIZE[0] / height) / 1.2
    assert across == pytest.approx(41 * scale, abs=2)
    rows, columns = np.nonzero(crops.pixels[0] > 127)
    np.testing.assert_allclose([columns.mean(), rows.mean()], [SIZE[1] / 2, SIZE[0] / 2], atol=1.0)


def test_context_shows_more_at_the_same_scale(frame: HandFrame) -> None:
    boxes = [box("carpal", 150, 200, 90, 60)]
    plain = cut_crops(frame, boxes, "carpal", SIZE, 0.1)
    wide = cut_crops(frame, boxes, "carpal", SIZE, 0.1, context=1.25)
    assert plain is not None
    assert wide is not None
    assert wide.pixels.shape[1:] == (80, 120)
    assert extent(plain.pixels[0]) == pytest.approx(extent(wide.pixels[0]), abs=1)
    middle = wide.pixels[0, 8:72, 12:108].astype(float)
    assert np.abs(middle - plain.pixels[0]).mean() < 3


def test_an_absent_region_is_none_and_never_the_whole_hand(frame: HandFrame) -> None:
    assert cut_crops(frame, [box("carpal", 150, 200, 60, 60)], "phalanx", SIZE, 0.1) is None
    assert cut_crops(frame, [], "carpal", SIZE, 0.1) is None


def test_the_hand_needs_no_box(frame: HandFrame) -> None:
    crops = cut_crops(frame, [], "hand", (128, 104), 0.0)
    assert crops is not None
    assert crops.confidence == 1
    np.testing.assert_allclose(crops.places, [[0.5, 0.5, 1, 1]])
    assert extent(crops.pixels[0]) == pytest.approx((10, 10), abs=1)


def test_the_surest_crops_are_kept_from_left_to_right(frame: HandFrame) -> None:
    confidences = [0.5, 0.9, 0.3, 0.8, 0.7, 0.6, 0.95]
    boxes = [box("phalanx", 50 + 40 * n, 100, 30, 60, sure) for n, sure in enumerate(confidences)]
    crops = cut_crops(frame, boxes[::-1], "phalanx", (64, 32), 0.05)
    assert crops is not None
    assert len(crops.pixels) == REGIONS["phalanx"].max_crops
    kept = [50 + 40 * n for n in (1, 3, 4, 5, 6)]
    np.testing.assert_allclose(crops.places[:, 0] * 416, kept, atol=1e-3)
    assert crops.confidence == pytest.approx(np.mean([0.9, 0.8, 0.7, 0.6, 0.95]))


def test_a_box_over_the_edge_is_cut_with_black(frame: HandFrame) -> None:
    crops = cut_crops(frame, [box("carpal", 10, 10, 80, 80)], "carpal", (64, 64), 0.1)
    assert crops is not None
    assert crops.pixels.shape == (1, 64, 64)
    assert crops.pixels.max() == 0


def test_a_view_turns_and_magnifies_about_the_middle_of_the_box() -> None:
    pixels = np.zeros((512, 416), np.uint8)
    cv2.rectangle(pixels, (180, 196), (220, 204), 255, cv2.FILLED)  # a bar to the right of the middle of the box
    frame, boxes = HandFrame(pixels, np.eye(2, 3)), [box("carpal", 180, 200, 100, 100)]
    centres = {}
    for name, view in {"plain": View(), "turned": View(False, 1.05, 90), "mirrored": View(True, 1.05, 90)}.items():
        crops = cut_crops(frame, boxes, "carpal", (100, 100), 0, view=view)
        assert crops is not None
        rows, columns = np.nonzero(crops.pixels[0] > 127)
        centres[name] = (columns.mean() - 50, rows.mean() - 50)
        assert crops.places[0, 0] == pytest.approx(1 - 180 / 416 if view.mirrored else 180 / 416)
    np.testing.assert_allclose(centres["plain"], (20, 0), atol=1)
    np.testing.assert_allclose(centres["turned"], (0, -21), atol=1)  # counter-clockwise
    np.testing.assert_allclose(centres["mirrored"], (0, 21), atol=1)  # mirrored it lies left, and turns down


def test_a_mirrored_view_is_the_plain_one_mirrored(frame: HandFrame) -> None:
    boxes = [box("carpal", 160, 190, 90, 60)]
    plain, mirrored = (cut_crops(frame, boxes, "carpal", SIZE, 0.1, view=View(flag)) for flag in (False, True))
    assert plain is not None
    assert mirrored is not None
    np.testing.assert_array_equal(mirrored.pixels, plain.pixels[:, :, ::-1])
    np.testing.assert_allclose(mirrored.places, [[1 - 160 / 416, *plain.places[0, 1:]]], rtol=1e-6)


def test_a_large_box_is_shrunk_without_patterns() -> None:
    """What is finer than the crop's pixels becomes its mean; what is not stays."""
    chequered = (np.indices((512, 416)).sum(0) % 2 * 200).astype(np.uint8)
    frame = HandFrame(chequered, np.eye(2, 3))
    for side, patterned in ((400, False), (200, False), (64, True)):
        crops = cut_crops(frame, [box("carpal", 208, 256, side, side)], "carpal", (64, 64), 0.0)
        assert crops is not None
        inside = crops.pixels[0, 8:-8, 8:-8].astype(float)
        assert (inside.std() > 20) == patterned
        assert inside.mean() == pytest.approx(100, abs=8)


def test_test_time_augmentation_looks_at_a_hand_and_its_mirror_image_in_three_poses() -> None:
    poses = [(view.scale, view.degrees) for view in SIX_VIEWS]
    assert poses == [(1.0, 0.0)] * 2 + [(0.95, 5.0)] * 2 + [(1.05, -5.0)] * 2
    assert [view.mirrored for view in SIX_VIEWS] == [False, True] * 3


def test_each_frame_has_its_own_crops(frame: HandFrame) -> None:
    """A frame is shrunk once for all that is cut from it at one scale; another frame is another hand."""
    boxes = [box("carpal", 150, 200, 300, 300)]
    first = cut_crops(frame, boxes, "carpal", SIZE, 0.1)
    other = cut_crops(HandFrame(frame.pixels // 4, frame.to_frame), boxes, "carpal", SIZE, 0.1)
    larger = cut_crops(frame, [box("carpal", 150, 200, 200, 200)], "carpal", SIZE, 0.1)
    again = cut_crops(frame, boxes, "carpal", SIZE, 0.1)
    assert first is not None
    assert other is not None
    assert larger is not None
    assert again is not None
    np.testing.assert_allclose(other.pixels, first.pixels / 4, atol=1.5)
    assert extent(larger.pixels[0])[0] > extent(first.pixels[0])[0]
    np.testing.assert_array_equal(again.pixels, first.pixels)


def test_what_was_shrunk_goes_with_its_frame() -> None:
    boxes = [box("carpal", 150, 200, 300 + step, 300) for step in range(0, 60, 4)]
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(12):
            frame = HandFrame(np.full((512, 416), number, np.uint8), np.eye(2, 3))
            for one in boxes:
                cut_crops(frame, [one], "carpal", SIZE, 0.1)
        del frame
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 50_000
