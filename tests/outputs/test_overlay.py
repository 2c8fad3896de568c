"""Overlays: what is drawn lies where it was found."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from boneage_roi.errors import InputError
from boneage_roi.outputs.overlay import COLOURS, draw_overlay, save_image
from boneage_roi.values import BoneAge, HandFrame, HandMask, Radiograph, RegionBox, RegionReading

HEIGHT, WIDTH = 1000, 700
RADIOGRAPH = Radiograph(np.full((HEIGHT, WIDTH), 0.3, np.float32))


def turned_frame(angle: float) -> HandFrame:
    to_frame = np.asarray(cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), angle, 0.5), np.float64)
    return HandFrame(np.zeros((512, 416), np.uint8), to_frame)


def coloured(image: NDArray[np.uint8], region: str, width: int = WIDTH) -> NDArray[np.float64]:
    """The points (x, y) of the radiograph's part of an overlay that have a region's colour."""
    rows, columns = np.nonzero((image[:, :width] == COLOURS[region]).all(axis=2))
    return np.column_stack([columns, rows]).astype(np.float64)


def reading(region: str, months: int) -> RegionReading:
    distribution = np.zeros(240, np.float32)
    distribution[months] = 1
    return RegionReading(region, distribution, np.zeros(4, np.float32), 1)


def bone_age(*flags: str) -> BoneAge:
    readings = (reading("hand", 110), reading("carpal", 120))
    return BoneAge(118.2, 104.0, 131.0, "F", readings, "default", flags)


@pytest.mark.parametrize("angle", [0, 30, -45])
def test_box_goes_back_through_a_turned_frame(angle: float) -> None:
    frame = turned_frame(angle)
    box = RegionBox("carpal", (300.0, 450.0, 380.0, 560.0), 0.9)
    drawn = coloured(draw_overlay(RADIOGRAPH, frame, [box]), "carpal")
    in_frame = drawn @ frame.to_frame[:, :2].T + frame.to_frame[:, 2]
    np.testing.assert_allclose(in_frame.min(axis=0), (300, 450), atol=2)
    np.testing.assert_allclose(in_frame.max(axis=0), (380, 560), atol=2)
    inside = ((in_frame > (303, 453)) & (in_frame < (377, 557))).all(axis=1)
    assert not inside.any()  # an outline, which hides nothing


def test_mask_is_outlined() -> None:
    pixels = np.zeros((HEIGHT, WIDTH), np.bool_)
    pixels[200:800, 100:600] = True
    mask = HandMask(pixels, (350.0, 700.0), (350.0, 400.0), 0.9)
    drawn = coloured(draw_overlay(RADIOGRAPH, None, [], mask=mask), "hand")
    np.testing.assert_allclose(drawn.min(axis=0), (100, 200), atol=2)
    np.testing.assert_allclose(drawn.max(axis=0), (599, 799), atol=2)


def test_nothing_to_draw_leaves_the_radiograph() -> None:
    ramp = np.tile(np.linspace(0, 1, WIDTH, dtype=np.float32), (HEIGHT, 1))
    image = draw_overlay(Radiograph(ramp), None, [])
    np.testing.assert_allclose(image / 255, np.repeat(ramp[..., None], 3, axis=2), atol=0.005)


def test_contrast_comes_from_the_hand() -> None:
    """A hand that markers have made all but black is shown bright."""
    pixels = np.zeros((HEIGHT, WIDTH), np.float32)
    pixels[200:800, 100:600] = np.linspace(0.1, 0.2, 500)
    pixels[:50, :50] = 1
    mask = HandMask(pixels > 0.05, (350.0, 700.0), (350.0, 400.0), 0.9)
    mask.pixels[:50, :50] = False
    image = draw_overlay(Radiograph(pixels), None, [], mask=mask)
    assert image[500, 590, 0] > 230
    assert image[500, 110, 0] < 80


def test_small_radiographs_are_enlarged() -> None:
    small = Radiograph(np.full((300, 200), 0.3, np.float32))
    frame = HandFrame(np.zeros((300, 200), np.uint8), np.eye(2, 3))
    box = RegionBox("phalanx", (50.0, 60.0, 150.0, 260.0), 0.9)
    image = draw_overlay(small, frame, [box])
    assert image.shape[0] == 900
    drawn = coloured(image, "phalanx", 600)
    np.testing.assert_allclose(drawn.min(axis=0), (151, 181), atol=2)
    np.testing.assert_allclose(drawn.max(axis=0), (451, 781), atol=2)


def test_legend_lists_what_was_found_and_read() -> None:
    boxes = [RegionBox("epiphysis", (10.0 * k, 20.0, 10.0 * k + 8, 30.0), 0.9) for k in range(1, 4)]
    legend = draw_overlay(RADIOGRAPH, turned_frame(0), boxes, bone_age=bone_age())[:, WIDTH:]
    shown = {region for region, colour in COLOURS.items() if (legend == colour).all(axis=2).sum() > 100}
    assert shown == {"hand", "carpal", "epiphysis"}


def test_flags_and_age_change_the_legend_only() -> None:
    plain = draw_overlay(RADIOGRAPH, None, [], bone_age=bone_age())
    flagged = draw_overlay(RADIOGRAPH, None, [], bone_age=bone_age("carpal not found"))
    np.testing.assert_array_equal(plain[:, :WIDTH], flagged[:, :WIDTH])
    assert plain.shape != flagged.shape or (plain != flagged).any()


def test_save_image(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 255, (80, 70, 3), np.uint8)
    path = tmp_path / "новая" / "手.png"
    save_image(path, image)
    np.testing.assert_array_equal(cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR), image)
    assert [file.name for file in path.parent.iterdir()] == ["手.png"]


def test_save_image_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(InputError, match="cannot be written"):
        save_image(tmp_path / "file" / "overlay.png", np.zeros((9, 9, 3), np.uint8))
