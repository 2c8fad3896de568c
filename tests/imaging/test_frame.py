"""The hand frame of a drawn hand, turned by several angles."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from boneage_roi.imaging.frame import frame_map, hand_frame, is_inverted, magnification
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


def test_frames_are_512_by_416_unless_told_otherwise() -> None:
    assert hand_frame(*drawn_hand(0)).pixels.shape == (512, 416)


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


def upright_mask(hand: tuple[int, int, int, int], shape: tuple[int, int] = SHAPE, **changes: object) -> HandMask:
    """A hand that fills a rectangle (xmin, ymin, xmax, ymax); the wrist is at (320, 420), the axis 100 pixels up."""
    mask = np.zeros(shape, bool)
    mask[hand[1] : hand[3] + 1, hand[0] : hand[2] + 1] = True
    places = {"wrist": (320.0, 420.0), "middle_mcp": (320.0, 320.0)} | changes
    return HandMask(mask, confidence=1.0, **places)  # type: ignore[arg-type]


def edges(mask: HandMask, corners: list[tuple[float, float]], size: tuple[int, int] = SIZE) -> NDArray[np.float64]:
    return placed(frame_map(mask, size), np.array(corners, float))


def test_a_high_hand_fills_the_frame_from_4_percent_below_its_top() -> None:
    """To as much above its lower edge, where the forearm ends 0.75 of the axis below the wrist."""
    high = upright_mask((250, 170, 370, 600))
    (left, top), (right, bottom) = edges(high, [(250, 170), (370, 495)])
    assert top == pytest.approx(0.04 * SIZE[0] - 0.5)
    assert bottom == pytest.approx(0.96 * SIZE[0] - 0.5)
    assert left + right == pytest.approx(SIZE[1] - 1)
    assert magnification(frame_map(high, SIZE)) == pytest.approx(0.92 * SIZE[0] / (495 - 170))


def test_a_wide_hand_fills_the_frame_from_side_to_side() -> None:
    wide = upright_mask((100, 300, 560, 600))
    (left, top), (right, bottom) = edges(wide, [(100, 300), (560, 495)])
    assert (left, right) == (pytest.approx(0.04 * SIZE[1] - 0.5), pytest.approx(0.96 * SIZE[1] - 0.5))
    assert top + bottom == pytest.approx(SIZE[0] - 1)


def test_what_is_farther_than_three_axes_from_the_wrist_is_no_hand() -> None:
    hand = (250, 170, 370, 600)
    alone = frame_map(upright_mask(hand), SIZE)
    for x, counts in ((20, False), (24, True)):  # the other hand's fingertip, 300.x and 297 pixels off
        mask = upright_mask(hand)
        mask.pixels[400:406, x] = True
        assert np.allclose(frame_map(mask, SIZE), alone) != counts


def test_without_a_mask_the_frame_holds_a_usual_hand() -> None:
    """0.9 of the axis to each side, 2.2 above the wrist."""
    none = upright_mask((0, 0, -1, -1))
    (_, top), (_, bottom) = edges(none, [(320, 200), (320, 495)])
    assert top == pytest.approx(0.04 * SIZE[0] - 0.5)
    assert bottom == pytest.approx(0.96 * SIZE[0] - 0.5)
    (left, _), (right, _) = edges(none, [(230, 300), (410, 300)], (512, 200))
    assert (left, right) == (pytest.approx(0.04 * 200 - 0.5), pytest.approx(0.96 * 200 - 0.5))


@pytest.mark.parametrize("apart", [0.0, 0.4])
@pytest.mark.parametrize("hand", [(250, 170, 370, 600), (320, 300, 320, 600), (0, 0, -1, -1)])
@pytest.mark.filterwarnings("error")
def test_landmarks_on_one_point_give_an_upright_frame(hand: tuple[int, int, int, int], apart: float) -> None:
    mask = upright_mask(hand, middle_mcp=(320.0 + apart, 420.0))
    frame = hand_frame(Radiograph(np.ones(SHAPE, np.float32)), mask, SIZE)
    assert np.isfinite(frame.to_frame).all()
    (x, y), above, right = placed(frame.to_frame, np.array([[320.0, 420], [320, 419], [321, 420]]))
    assert above[0] == pytest.approx(x)
    assert above[1] < y
    assert right[0] > x
    assert right[1] == pytest.approx(y)


def test_what_is_fine_in_a_large_radiograph_is_averaged_and_no_pattern() -> None:
    """Columns of light and dark, narrower or wider than a pixel of the frame; above and below them light and dark."""
    mask = upright_mask((100, 40, 1200, 1300), (1400, 1280), wrist=(640.0, 900.0), middle_mcp=(640.0, 600.0))
    spread = {}
    for every in (2, 8, 40):
        pixels = np.zeros((1400, 1280), np.float32)
        pixels[:300] = 1
        pixels[300:900, np.arange(1280) % every < every // 2] = 1
        frame = hand_frame(Radiograph(pixels), mask, SIZE)
        (left, top), (right, bottom) = placed(frame.to_frame, np.array([[300.0, 350], [900, 850]])).astype(int)
        spread[every] = frame.pixels[top:bottom, left:right].std()
    assert spread[2] < 8
    assert spread[8] > 25  # not blurred more than needs be
    assert spread[40] > 50


def test_a_small_radiograph_is_not_blurred() -> None:
    pixels = np.zeros(SHAPE, np.float32)
    pixels[:, 320:] = 1
    row = hand_frame(Radiograph(pixels), upright_mask((250, 170, 370, 600)), SIZE).pixels[250].astype(int)
    between = (row > row.min() + 5) & (row < row.max() - 5)
    assert between.sum() <= 2


def ringed(hand: float, ring: float, beyond: float, width: int, side: int = 240) -> tuple[np.ndarray, np.ndarray]:
    """A square hand, a ring of so many pixels around it, and what lies beyond; the picture is twice as wide as high."""
    pixels, mask = np.full((side, 2 * side), beyond, np.float32), np.zeros((side, 2 * side), bool)
    first, last = side // 4, 3 * side // 4
    pixels[first - width : last + width, first - width : last + width] = ring
    pixels[first:last, first:last] = hand
    mask[first:last, first:last] = True
    return pixels, mask


@pytest.mark.parametrize(
    ("greys", "width", "side", "dark_on_bright"),
    [
        ((0.5, 0.2, 0.9), 6, 240, False),  # 240 // 24 pixels are looked at, half of them on each side
        ((0.5, 0.9, 0.2), 6, 240, True),
        ((0.5, 0.2, 0.9), 2, 240, True),
        ((0.5, 0.5, 0.5), 6, 240, False),
        ((0.5, 0.9, 0.2), 1, 40, True),  # of a small frame one pixel
        ((0.5, 0.2, 0.9), 1, 40, False),
    ],
)
def test_dark_on_bright_is_known_by_what_lies_just_around_the_hand(
    greys: tuple[float, float, float], width: int, side: int, dark_on_bright: bool
) -> None:
    assert is_inverted(*ringed(*greys, width, side)) == dark_on_bright


def test_without_hand_or_surroundings_nothing_is_turned() -> None:
    pixels = np.linspace(0, 1, 2500, dtype=np.float32).reshape(50, 50)
    assert not is_inverted(pixels, np.zeros((50, 50), bool))
    assert not is_inverted(pixels, np.ones((50, 50), bool))


def test_what_lies_beside_a_turned_radiograph_stays_black() -> None:
    """The hand fills the radiograph, so that the frame reaches beyond it."""
    pixels = np.full((400, 300), 0.2, np.float32)
    pixels[:, :20] = pixels[:, 280:] = pixels[:20] = 0.9
    pixels[100:300, 100:200] = 0.1
    mask = upright_mask((20, 20, 279, 399), (400, 300), wrist=(150.0, 330.0), middle_mcp=(150.0, 180.0))
    frame = hand_frame(Radiograph(pixels), mask, SIZE)
    assert frame.inverted
    outside = placed(frame.to_frame, np.array([[150.0, 410.0]]))[0].astype(int)
    assert outside[1] < SIZE[0]
    assert frame.pixels[outside[1], outside[0]] == 0


def graded(values: np.ndarray) -> NDArray[np.uint8]:
    """What becomes of a hand that has these greys from left to right, on black."""
    pixels = np.zeros(SHAPE, np.float32)
    mask = upright_mask((120, 170, 520, 600))
    pixels[:, 120:521] = np.interp(np.linspace(0, 1, 401), np.linspace(0, 1, len(values)), values)
    pixels[~mask.pixels] = 0
    frame = hand_frame(Radiograph(pixels), mask, SIZE)
    (left, top), (right, bottom) = placed(frame.to_frame, np.array([[121.0, 180], [519, 590]])).astype(int)
    return frame.pixels[top + 1 : min(bottom, SIZE[0]), left + 1 : right]


def test_the_median_of_every_hand_becomes_one_grey() -> None:
    """0.55, between a little below the darkest percent and the brightest half percent."""
    for power in (0.7, 1.0, 1.8):
        assert np.median(graded(np.linspace(0.2, 0.9, 997) ** power)) == pytest.approx(0.55 * 255, abs=3)


def test_the_brightest_half_percent_is_white_and_the_darkest_percent_is_not_black() -> None:
    seen = graded(np.linspace(0.2, 0.9, 997))
    assert seen.max() >= 252
    assert (seen >= 248).mean() < 0.03
    middle = (0.5 + 0.15) / 1.15
    gamma = np.log(0.55) / np.log(middle)
    assert np.percentile(seen, 1) == pytest.approx(255 * (0.15 / 1.15) ** gamma, abs=4)


def test_the_curve_is_bent_only_so_far() -> None:
    """The median lies at 0.13 or at 0.92 of the span, and would become 0.55 with gammas of 0.3 and 7.5."""
    dark, bright = [0.5] * 90 + [0.9] * 10, [0.1] * 4 + [0.83] * 90 + [0.9] * 6
    assert np.median(graded(np.array(dark))) == pytest.approx(255 * (0.15 / 1.15) ** 0.4, abs=3)
    assert np.median(graded(np.array(bright))) == pytest.approx(255 * (0.85 / 0.92) ** 3, abs=3)


@pytest.mark.filterwarnings("error")
def test_a_hand_that_is_nearly_all_of_its_brightest_grey_is_bent_no_more() -> None:
    seen = graded(np.array([0.1] * 3 + [0.9] * 97))
    assert np.median(seen) == 255
    assert seen.min() < 5  # the dark is darker still


def test_what_is_brighter_than_the_hand_is_white() -> None:
    """A letter of lead beside it."""
    pixels = np.full(SHAPE, 0.1, np.float32)
    mask = upright_mask((250, 170, 370, 600))
    pixels[mask.pixels] = np.resize(np.linspace(0.2, 0.5, 121), mask.pixels.sum())
    pixels[300:340, 385:400] = 1
    frame = hand_frame(Radiograph(pixels), mask, SIZE)
    x, y = placed(frame.to_frame, np.array([[392.0, 320.0]]))[0].astype(int)
    assert frame.pixels[y, x] == 255


def test_a_hand_of_one_grey_and_one_of_few_pixels_give_a_frame() -> None:
    flat = hand_frame(Radiograph(np.full(SHAPE, 0.5, np.float32)), upright_mask((250, 170, 370, 600)), SIZE)
    assert len(np.unique(flat.pixels)) <= 2
    ramp = np.tile(np.linspace(0.2, 1, SHAPE[1], dtype=np.float32), (SHAPE[0], 1))
    few = hand_frame(Radiograph(ramp), upright_mask((320, 300, 321, 301)), SIZE).pixels
    assert np.ptp(few[200:300].astype(int)) > 60  # contrast of the whole frame, not of four pixels


@pytest.mark.parametrize("seed", range(20))
def test_the_frame_holds_every_pixel_that_is_hand(seed: int) -> None:
    """Blots for a mask, any landmarks: all that is neither forearm nor far off fills the frame."""
    random = np.random.default_rng(seed)
    blots = cv2.GaussianBlur(random.random((60, 80)).astype(np.float32), (0, 0), 4)
    mask = np.asarray(blots > np.quantile(blots, random.uniform(0.3, 0.98)))
    wrist, knuckle = random.uniform(10, 50, 2), random.uniform(10, 50, 2)
    length = np.hypot(*(knuckle - wrist))
    to_frame = frame_map(HandMask(mask, tuple(wrist), tuple(knuckle), 1.0), SIZE)
    rows, columns = np.nonzero(mask)
    points = np.column_stack([columns, rows])
    down = (points - wrist) @ (wrist - knuckle) / length**2
    hand = points[(down < 0.75) & (np.hypot(*(points - wrist).T) < 3 * length)]
    (left, top), (right, _) = (placed(to_frame, hand.astype(float)).min(axis=0), placed(to_frame, hand).max(axis=0))
    bottom = placed(to_frame, (wrist - 0.75 * (knuckle - wrist))[None])[0, 1]
    assert left + right == pytest.approx(SIZE[1] - 1)
    assert top + bottom == pytest.approx(SIZE[0] - 1)
    fills = max((right - left) / SIZE[1], (bottom - top) / SIZE[0])
    assert fills == pytest.approx(0.92)
