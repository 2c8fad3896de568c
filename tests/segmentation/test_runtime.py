"""The segmenter's square, and what becomes of the network's maps."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from boneage_roi.segmentation import runtime
from boneage_roi.segmentation.letterbox import letterbox, letterbox_map
from boneage_roi.segmentation.runtime import Segmenter, hand_mask
from boneage_roi.values import HandMask, Radiograph

SIZE = 128


def spot(shape: tuple[int, int], centre: tuple[float, float], sigma: float) -> np.ndarray:
    rows, columns = np.indices(shape)
    distance = (columns - centre[0]) ** 2 + (rows - centre[1]) ** 2
    return np.asarray(np.exp(-distance / (2 * sigma**2)), np.float32)


def mass_centre(image: np.ndarray) -> np.ndarray:
    rows, columns = np.indices(image.shape)
    return np.asarray(np.array([(image * columns).sum(), (image * rows).sum()]) / image.sum())


@pytest.mark.parametrize("shape", [(420, 300), (300, 420), (90, 50), (128, 128), (401, 333)])
def test_letterbox_puts_things_where_its_map_says(shape: tuple[int, int]) -> None:
    point = (0.3 * shape[1], 0.7 * shape[0])
    square = letterbox(spot(shape, point, 0.04 * max(shape)), SIZE)
    assert square.shape == (SIZE, SIZE)
    assert square.dtype == np.float32
    expected = letterbox_map(*shape, SIZE) @ [*point, 1]
    np.testing.assert_allclose(mass_centre(square), expected, atol=0.6)


def test_letterbox_keeps_aspect_and_is_black_beside_the_image() -> None:
    square = letterbox(np.ones((400, 200), np.float32), SIZE)
    assert (square[:, : SIZE // 4 - 2] == 0).all()
    assert (square[:, -SIZE // 4 + 2 :] == 0).all()
    assert (square[2:-2, SIZE // 4 + 2 : -SIZE // 4 - 2] > 0.99).all()


def maps_of(mask: np.ndarray, wrist: tuple[float, float], middle_mcp: tuple[float, float]) -> np.ndarray:
    heat = [spot(mask.shape, point, 2.0) for point in (wrist, middle_mcp)]
    return np.stack([mask, *(peak / peak.sum() for peak in heat)]).astype(np.float32)


def test_largest_part_is_the_hand_and_its_holes_are_filled() -> None:
    square = np.zeros((SIZE, SIZE), np.float32)
    square[30:100, 50:90] = 1
    square[60:70, 60:70] = 0  # a hole
    square[10:20, 100:110] = 1  # a marker
    mask = hand_mask(maps_of(square, (70, 90), (70, 40)), (SIZE, SIZE))
    assert mask.pixels[65, 65]
    assert not mask.pixels[15, 105]
    assert mask.pixels.sum() == pytest.approx(70 * 40, rel=0.05)
    assert mask.second_part == pytest.approx(100 / 2700, rel=0.1)


@pytest.mark.parametrize("shape", [(420, 300), (260, 400)])
def test_landmarks_and_mask_come_back_in_radiograph_pixels(shape: tuple[int, int]) -> None:
    wrist, middle_mcp = (0.55 * shape[1], 0.8 * shape[0]), (0.45 * shape[1], 0.4 * shape[0])
    to_square = letterbox_map(*shape, SIZE)
    square = np.zeros((SIZE, SIZE), np.float32)
    corners = np.array([(0.3 * shape[1], 0.2 * shape[0]), (0.7 * shape[1], 0.9 * shape[0])])
    placed = np.round(corners @ to_square[:, :2].T + to_square[:, 2]).astype(int)
    cv2.rectangle(square, placed[0].tolist(), placed[1].tolist(), 1.0, cv2.FILLED)
    found = hand_mask(maps_of(square, tuple(to_square @ [*wrist, 1]), tuple(to_square @ [*middle_mcp, 1])), shape)
    pixel = max(shape) / SIZE
    np.testing.assert_allclose(found.wrist, wrist, atol=0.3 * pixel)
    np.testing.assert_allclose(found.middle_mcp, middle_mcp, atol=0.3 * pixel)
    assert found.pixels.shape == shape
    rows, columns = np.nonzero(found.pixels)
    np.testing.assert_allclose([columns.min(), rows.min()], corners[0], atol=1.5 * pixel)
    np.testing.assert_allclose([columns.max(), rows.max()], corners[1], atol=1.5 * pixel)


def test_confidence_tells_a_sharp_landmark_from_a_smeared_one() -> None:
    mask = np.ones((SIZE, SIZE), np.float32)
    sharp = maps_of(mask, (64, 100), (64, 40))
    smeared = sharp.copy()
    smeared[2] = 1 / SIZE**2
    assert hand_mask(sharp, (SIZE, SIZE)).confidence > 0.95
    assert hand_mask(smeared, (SIZE, SIZE)).confidence < 0.1


def test_an_empty_map_is_an_empty_mask() -> None:
    assert not hand_mask(maps_of(np.zeros((SIZE, SIZE), np.float32), (64, 64), (64, 30)), (200, 200)).pixels.any()


class Painter:
    """Stands for the network: what is bright is hand, its lowest point the wrist and its highest the knuckle."""

    side = SIZE

    def __init__(self) -> None:
        self.seen: list[np.ndarray] = []

    def __call__(self, inputs: dict[str, np.ndarray], shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
        square = inputs["image"][0, 0]
        self.seen.append(square)
        rows, columns = np.nonzero(square > 0.5)
        top, bottom = ((float(columns[rows == row].mean()), float(row)) for row in (rows.min(), rows.max()))
        return [maps_of((square > 0.5).astype(np.float32), bottom, top)[None]]


@pytest.fixture
def painter(monkeypatch: pytest.MonkeyPatch) -> Painter:
    painter = Painter()
    monkeypatch.setattr(runtime, "Network", lambda path, stage, threads: painter)
    return painter


def look(box: tuple[int, int, int, int]) -> HandMask:
    """Segment a bright bar (left, top, right, bottom) in an image of 400 x 300."""
    left, top, right, bottom = box
    pixels = np.zeros((400, 300), np.float32)
    pixels[top:bottom, left:right] = 1
    return Segmenter(Path("painter.onnx"))(Radiograph(pixels))


def test_a_small_hand_is_looked_at_again_from_nearer(painter: Painter) -> None:
    mask = look((201, 303, 231, 363))
    first, second = ((square > 0.5).sum() for square in painter.seen)
    assert second > 8 * first
    assert mask.pixels.shape == (400, 300)
    rows, columns = np.nonzero(mask.pixels)
    found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    np.testing.assert_allclose(found, (201, 303, 231, 363), atol=2)
    np.testing.assert_allclose(mask.wrist, (215.5, 362), atol=2)
    np.testing.assert_allclose(mask.middle_mcp, (215.5, 303), atol=2)


def test_a_large_hand_is_looked_at_once(painter: Painter) -> None:
    look((60, 40, 240, 380))
    assert len(painter.seen) == 1
