"""The hand frame of a drawn hand, turned by several angles."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from boneage_roi.imaging.frame import hand_frame
from boneage_roi.values import HandMask, Radiograph

SIZE = (512, 416)
SHAPE = (700, 640)
WRIST, MIDDLE_MCP = (320.0, 420.0), (310.0, 310.0)
FINGERTIPS = {"thumb": (170, 330), "index": (235, 190), "middle": (305, 150), "ring": (370, 180), "little": (430, 240)}
ANGLES = (0, 40, -75, 180)


def drawn_hand(angle: float, forearm: int = 120, inverted: bool = False) -> tuple[Radiograph, HandMask]:
    """Soft tissue at 0.35, bones along the fingers at 0.85, black around; turned clockwise by ``angle`` degrees."""
    mask, bones = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
    x, y = (int(value) for value in WRIST)
    cv2.ellipse(mask, (x, y - 60), (75, 85), 0, 0, 360, 1, cv2.FILLED)
    cv2.rectangle(mask, (x - 40, y), (x + 40, y + forearm), 1, cv2.FILLED)
    cv2.line(bones, (x, y), (x, y + forearm), 1, 24)
    for tip in FINGERTIPS.values():
        cv2.line(mask, (x, y - 40), tip, 1, 36)
        cv2.line(bones, (x, y - 10), tip, 1, 12)
    pixels = np.where(bones > 0, 0.85, 0.35 * mask).astype(np.float32)
    turn = cv2.getRotationMatrix2D((SHAPE[1] / 2, SHAPE[0] / 2), -angle, 0.8)
    mask = np.asarray(cv2.warpAffine(mask, turn, SHAPE[::-1], flags=cv2.INTER_NEAREST), np.uint8)
    pixels = np.asarray(cv2.warpAffine(pixels, turn, SHAPE[::-1]), np.float32)
    wrist, knuckle = (tuple(turn @ [*point, 1]) for point in (WRIST, MIDDLE_MCP))
    return Radiograph(1 - pixels if inverted else pixels), HandMask(mask.astype(bool), wrist, knuckle, 1.0)


def placed(to_frame: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    return points @ to_frame[:, :2].T + to_frame[:, 2]


@pytest.mark.parametrize("angle", ANGLES)
def test_hand_is_upright_and_wholly_inside(angle: float) -> None:
    radiograph, mask = drawn_hand(angle)
    frame = hand_frame(radiograph, mask, SIZE)
    assert frame.pixels.shape == SIZE
    wrist, knuckle = placed(frame.to_frame, np.array([mask.wrist, mask.middle_mcp]))
    assert knuckle[0] == pytest.approx(wrist[0], abs=0.01)
    assert knuckle[1] < wrist[1] - 100
    rows, columns = np.nonzero(mask.pixels)
    hand = placed(frame.to_frame, np.column_stack([columns, rows]).astype(float))
    hand = hand[hand[:, 1] < wrist[1]]
    assert (hand >= 0).all()
    assert (hand < [SIZE[1], SIZE[0]]).all()


@pytest.mark.parametrize("angle", ANGLES)
def test_aspect_is_kept_and_nothing_is_mirrored(angle: float) -> None:
    linear = hand_frame(*drawn_hand(angle), SIZE).to_frame[:, :2]
    scale = np.linalg.det(linear)
    assert scale > 0
    np.testing.assert_allclose(linear.T @ linear, scale * np.eye(2), atol=1e-9)


def test_angles_give_the_same_picture() -> None:
    upright = hand_frame(*drawn_hand(0), SIZE).pixels.astype(float)
    for angle in ANGLES[1:]:
        assert np.abs(hand_frame(*drawn_hand(angle), SIZE).pixels - upright).mean() < 4


def test_points_come_back_to_the_radiograph() -> None:
    frame = hand_frame(*drawn_hand(40), SIZE)
    points = np.array([[12.0, 600.5], [333.25, 40.0]])
    np.testing.assert_allclose(frame.to_radiograph(placed(frame.to_frame, points)), points, atol=1e-6)


def test_a_long_forearm_does_not_shrink_the_hand() -> None:
    short, long = (hand_frame(*drawn_hand(0, forearm), SIZE) for forearm in (100, 260))
    np.testing.assert_allclose(short.to_frame, long.to_frame)
    bottom = long.to_radiograph(np.array([[0.0, SIZE[0] - 1.0]]))[0, 1]
    _, mask = drawn_hand(0, 260)
    assert bottom < np.nonzero(mask.pixels)[0].max() - 20


@pytest.mark.parametrize("angle", ANGLES)
def test_dark_bones_are_found_and_turned_bright(angle: float) -> None:
    plain = hand_frame(*drawn_hand(angle), SIZE)
    turned = hand_frame(*drawn_hand(angle, inverted=True), SIZE)
    assert not plain.inverted
    assert turned.inverted
    assert np.abs(turned.pixels.astype(float) - plain.pixels).mean() < 4


def test_bones_are_bright_and_background_dark() -> None:
    radiograph, mask = drawn_hand(0)
    frame = hand_frame(radiograph, mask, SIZE)
    x, y = placed(frame.to_frame, np.array([mask.middle_mcp]))[0].astype(int)
    assert frame.pixels[y - 3 : y + 4, x - 3 : x + 4].max() > 240
    assert frame.pixels[2, 2] < 60


@pytest.mark.parametrize("power", [0.6, 1.6])
def test_a_bent_grey_curve_is_bent_back(power: float) -> None:
    radiograph, mask = drawn_hand(0)
    hand = np.where(mask.pixels, radiograph.pixels + np.linspace(0, 0.3, SHAPE[0])[:, None], 0).astype(np.float32)
    straight, bent = (hand_frame(Radiograph(pixels), mask, SIZE) for pixels in (hand / 1.3, (hand / 1.3) ** power))
    inside = straight.pixels > 40
    assert np.abs(straight.pixels.astype(float) - bent.pixels)[inside].mean() < 8
    assert np.abs(straight.pixels.astype(float) - (straight.pixels / 255.0) ** power * 255)[inside].mean() > 20


def test_landmarks_alone_give_a_frame_when_the_mask_is_elsewhere() -> None:
    radiograph, mask = drawn_hand(0)
    astray = HandMask(np.zeros(SHAPE, bool), mask.wrist, mask.middle_mcp, 0.1)
    frame = hand_frame(radiograph, astray, SIZE)
    wrist = placed(frame.to_frame, np.array([mask.wrist]))[0]
    assert 0 < wrist[0] < SIZE[1]
    assert 0 < wrist[1] < SIZE[0]
