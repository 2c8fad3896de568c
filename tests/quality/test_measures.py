"""What the gate is told of an image."""

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest

from boneage_roi.quality.measures import ENOUGH, measure, off_equalised, parts
from boneage_roi.regions import REGIONS, detected
from boneage_roi.values import Analysis, HandFrame, HandMask, Radiograph, RegionBox

HEIGHT, WIDTH = 200, 160
FOUND = detected(REGIONS)


def hand(**changes: Any) -> Analysis:
    """An upright hand of 60 x 120 pixels: wrist at row 150, middle knuckle at row 100, forearm to the lower edge."""
    pixels = np.zeros((HEIGHT, WIDTH), bool)
    pixels[30:150, 50:110] = True
    pixels[150:, 65:95] = True
    mask = HandMask(pixels, wrist=(80.0, 150.0), middle_mcp=(80.0, 100.0), confidence=0.9)
    grey = np.where(pixels, np.linspace(0.2, 0.8, WIDTH), 0.05).astype(np.float32)
    boxes = (
        *(RegionBox("phalanx", (0, 0, 9, 9), 0.8) for _ in range(4)),
        RegionBox("carpal", (0, 0, 9, 9), 0.7),
    )
    frame = HandFrame(np.zeros((8, 8), np.uint8), np.eye(2, 3))
    return Analysis(Radiograph(grey), replace(mask, **changes), frame, boxes)


def test_parts_are_how_sure_landmarks_and_regions_are() -> None:
    measures = measure(hand(), FOUND)
    assert measures["landmarks"] == 0.9
    assert measures["carpal"] == pytest.approx(0.7)
    assert measures["phalanx"] == pytest.approx(4 * 0.8 / 5)
    assert measures["metacarpal"] == 0
    assert (measures["digits"], measures["growth_plates"]) == (4, 0)
    assert set(parts(FOUND)) < set(measures)


def test_lengths_are_in_hands() -> None:
    measures = measure(hand(), FOUND)
    assert measures["size"] == 50
    assert measures["forearm"] == pytest.approx(49 / 50)
    assert measures["edge"] == 0  # the forearm may leave the image


def test_a_hand_at_the_edge_is_measured_along_it() -> None:
    pixels = np.zeros((HEIGHT, WIDTH), bool)
    pixels[:150, 50:110] = True
    assert measure(hand(pixels=pixels), FOUND)["edge"] == pytest.approx(60 / 50)


def test_a_turned_hand_measures_the_same() -> None:
    upright = hand()
    mask = upright.mask
    turned = replace(
        upright,
        radiograph=Radiograph(np.ascontiguousarray(np.rot90(upright.radiograph.pixels, 2))),
        mask=replace(
            mask,
            pixels=np.rot90(mask.pixels, 2),
            wrist=(WIDTH - 1 - 80.0, HEIGHT - 1 - 150.0),
            middle_mcp=(WIDTH - 1 - 80.0, HEIGHT - 1 - 100.0),
        ),
    )
    assert measure(turned, FOUND) == pytest.approx(measure(upright, FOUND))


def test_exposure_is_measured_on_the_hand_alone() -> None:
    bright = hand()
    grey = np.where(bright.mask.pixels, np.float32(1), np.float32(0.5))
    grey[60:90, 60:100] = 0.6
    measures = measure(replace(bright, radiograph=Radiograph(grey)), FOUND)
    assert measures["contrast"] == pytest.approx(0.4)
    assert 0.8 < measures["clipped"] < 0.9


def spoiled(greys: np.ndarray, scale: float = 1.0) -> dict[str, float]:
    """Measures of the hand with other greys of 0..1, its frame so much larger than its radiograph."""
    whole = hand()
    frame = replace(whole.frame, to_frame=scale * np.eye(2, 3))
    return measure(replace(whole, radiograph=Radiograph(greys.astype(np.float32).clip(0, 1)), frame=frame), FOUND)


def test_noise_is_a_share_of_the_contrast() -> None:
    clean = hand().radiograph.pixels
    random = np.random.default_rng(0)
    assert spoiled(clean)["noise"] < 0.001
    for deviation in (0.01, 0.03):
        noisy = spoiled(clean + random.normal(0, deviation, clean.shape))
        assert noisy["noise"] == pytest.approx(deviation / noisy["contrast"], rel=0.1)
        assert noisy["blocks"] < 0.3 * noisy["noise"]


def jpeg(quality: int) -> np.ndarray:
    random = np.random.default_rng(0)
    greys = hand().radiograph.pixels * 60 + cv2.GaussianBlur(random.normal(0, 20, (HEIGHT, WIDTH)), (0, 0), 3)
    data = cv2.imencode(".jpg", greys.clip(0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    pixels = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
    assert pixels is not None
    return np.asarray(pixels / 255)


def test_blocks_show_in_a_coarse_jpeg_wherever_its_grid_lies() -> None:
    coarse, fine = jpeg(15), jpeg(95)
    assert spoiled(coarse)["blocks"] > 5 * spoiled(fine)["blocks"]
    moved = np.roll(coarse, (3, 5), (0, 1))
    assert spoiled(moved)["blocks"] > 3 * spoiled(fine)["blocks"]


def test_lines_in_one_direction_are_no_blocks() -> None:
    lines = hand().radiograph.pixels + 0.1 * (np.arange(WIDTH) // 8 % 2)
    assert spoiled(lines)["blocks"] < 0.002


def test_what_is_fine_averages_out_in_the_frame() -> None:
    noisy = hand().radiograph.pixels + np.random.default_rng(0).normal(0, 0.03, (HEIGHT, WIDTH))
    assert spoiled(noisy, scale=0.25)["noise"] == pytest.approx(spoiled(noisy)["noise"] / 4)


def test_a_hand_of_one_grey_has_finite_measures() -> None:
    assert all(np.isfinite(list(spoiled(np.full((HEIGHT, WIDTH), 0.5)).values())))


def test_noise_of_a_large_hand_is_measured_in_its_middle() -> None:
    height, width = 3 * ENOUGH, 2 * ENOUGH + 1
    greys = np.full((height, width), 0.5, np.float32)
    greys[:900, :500] = np.random.default_rng(0).random((900, 500))  # outside the middle
    greys[-900:, -500:] = 0.1
    mask = replace(hand().mask, pixels=np.ones((height, width), bool))
    whole = replace(hand(), radiograph=Radiograph(greys), mask=mask)
    assert measure(whole, FOUND)["noise"] == 0
    greys[height // 2 - 500 : height // 2 + 500] += np.random.default_rng(0).normal(0, 0.02, (1000, width))
    assert measure(whole, FOUND)["noise"] > 0.01


def shaded() -> np.ndarray:
    """The hand, brighter towards one side, with fine bones in it; what lies around is dark."""
    clean = hand()
    across = np.linspace(0.3, 0.8, WIDTH)[None] + 0.05 * np.sin(np.arange(HEIGHT) / 2)[:, None]
    return np.where(clean.mask.pixels, across, 0.05)


def framed(greys: np.ndarray) -> dict[str, float]:
    whole = hand()
    frame = HandFrame(np.asarray(greys * 255, np.uint8), np.eye(2, 3))
    return measure(replace(whole, radiograph=Radiograph(greys.astype(np.float32)), frame=frame), FOUND)


def test_contrast_that_was_enhanced_piece_by_piece_is_less_coarse() -> None:
    greys = np.asarray(shaded() * 255, np.uint8)
    enhanced = cv2.createCLAHE(8, (8, 8)).apply(greys)
    assert framed(enhanced / 255)["coarse"] < 0.8 * framed(greys / 255)["coarse"]
    assert framed(0.2 + 0.5 * greys / 255)["coarse"] == pytest.approx(framed(greys / 255)["coarse"], abs=0.02)


@pytest.mark.parametrize("border", [0, 40])
def test_an_equalised_histogram_is_told_also_in_a_black_frame(border: int) -> None:
    greys = np.asarray(shaded() * 255, np.uint8)
    equalised = np.pad(np.asarray(cv2.equalizeHist(greys), np.uint8), border)
    assert off_equalised(np.asarray(equalised / 255, np.float32)) < 0.01
    assert framed(greys / 255)["equalised"] > 0.1
    assert off_equalised(np.zeros((9, 9), np.float32)) == 1
