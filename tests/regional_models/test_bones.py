"""Ages of single bones."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from boneage_roi.errors import InputError
from boneage_roi.pipeline.bundle import DEFAULT_BUNDLE
from boneage_roi.pipeline.reader import load
from boneage_roi.regional_models.bones import (
    BONES,
    LARGEST_ERROR,
    BoneScale,
    bones_between,
    fit_scale,
    leaning,
    mark_far,
    read_bones,
    read_scales,
    scaled,
    scales_text,
    unread,
    upright_turns,
)
from boneage_roi.regional_models.crops import AS_IT_IS, SIX_VIEWS, View
from boneage_roi.regional_models.runtime import RegionReader
from boneage_roi.values import BoneReading, HandFrame, RegionBox
from tests.bundles import EXAMPLES, needs_bundle

BOX = RegionBox("epiphysis", (0, 0, 9, 9), 0.9)
PLATES = ("MCP2", "MCP3", "PIP2", "PIP3", "DIP2", "ulna")


def bones(*months: float, spread: float = 10.0) -> list[BoneReading]:
    return [BoneReading(name, BOX, age, spread) for name, age in zip(PLATES, months, strict=True)]


def far(found: tuple[BoneReading, ...]) -> list[str]:
    return [bone.name for bone in found if bone.far]


def test_a_plate_far_from_the_others_is_marked() -> None:
    assert far(mark_far(bones(100, 103, 98, 101, 99, 60))) == ["ulna"]
    assert far(mark_far(bones(100, 103, 98, 101, 99, 140))) == ["ulna"]


def test_a_plate_that_is_unsure_is_not_far() -> None:
    unsure = [replace(bone, spread=30.0) if bone.name == "ulna" else bone for bone in bones(100, 103, 98, 101, 99, 60)]
    assert far(mark_far(unsure)) == []


def test_where_all_differ_none_is_far() -> None:
    assert far(mark_far(bones(70, 130, 90, 110, 150, 60, spread=5))) == []


def test_digits_are_compared_with_digits() -> None:
    digits = [BoneReading(f"digit{digit}", BOX, 160.0, 5.0) for digit in range(1, 6)]
    assert far(mark_far([*bones(100, 100, 100, 100, 100, 100), *digits])) == []


def test_too_few_have_no_median_to_be_far_from() -> None:
    assert far(mark_far([BoneReading(name, BOX, age, 1.0) for name, age in (("MCP2", 60), ("MCP3", 120))])) == []


def test_an_unknown_sex_lies_midway_and_is_less_sure() -> None:
    (middle, *_) = bones_between(bones(*[100.0] * 6), bones(*[120.0] * 6))
    assert middle.months == 110
    assert middle.spread == pytest.approx(np.hypot(10, 10))


def test_a_scale_takes_raw_ages_to_what_they_mean(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    ages = random.uniform(24, 200, 500)
    raw = (ages - 30) / 0.8 + random.normal(0, 10, 500)
    scale = fit_scale(raw, np.full(500, 4.0), ages)
    assert scale.offset + scale.slope * (100 - 30) / 0.8 == pytest.approx(100, abs=4)
    assert scale.error == pytest.approx(8, rel=0.15)
    assert scale.factor == pytest.approx(2, rel=0.15)
    (tmp_path / "bones.json").write_text(scales_text({"MCP2": scale}))
    assert read_scales(tmp_path / "bones.json") == {"MCP2": scale}


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{",
        '{"MCP2": {"slope": NaN, "offset": 0, "factor": 1, "error": 1, "hands": 1}}',
        '{"MCP2": {"tilt": 1}}',
        '{"MCP2": 3}',
    ],
)
def test_a_damaged_file_of_bones_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "bones.json").write_text(text)
    with pytest.raises(InputError, match="not a file of bones"):
        read_scales(tmp_path / "bones.json")


def plates_reader(views: Sequence[View] = SIX_VIEWS) -> RegionReader:
    path = DEFAULT_BUNDLE / "regions" / "epiphysis.onnx"
    return RegionReader(path, "epiphysis", size=(48, 48), margin=0.1, views=views)


def three_plates() -> tuple[HandFrame, list[RegionBox]]:
    pixels = np.random.default_rng(0).integers(0, 255, (512, 416)).astype(np.uint8)
    corners = {"MCP2": (300, 250, 350, 300), "DIP2": (260, 80, 300, 120), "ulna": (200, 90, 240, 130)}
    return HandFrame(pixels, np.eye(2, 3)), [RegionBox("epiphysis", box, 0.9, name) for name, box in corners.items()]


@needs_bundle
def test_each_plate_is_read_as_if_it_were_the_only_one() -> None:
    frame, boxes = three_plates()
    reader = plates_reader()
    together = {bone.name: bone for bone in read_bones({"epiphysis": reader}, {}, frame, boxes, "M")}
    assert list(together) == ["MCP2", "DIP2", "ulna"]
    for name in ("MCP2", "DIP2"):
        without = [box for box in boxes if box.name != "ulna"]
        alone = {bone.name: bone for bone in read_bones({"epiphysis": reader}, {}, frame, without, "M")}
        assert alone[name].months == pytest.approx(together[name].months, abs=1e-3)
        assert alone[name].spread == pytest.approx(together[name].spread, abs=1e-3)
    (ulna,) = read_bones({"epiphysis": reader}, {}, frame, boxes[2:], "M")
    assert ulna.months == pytest.approx(together["ulna"].months, abs=1e-3)
    assert [bone.box for bone in together.values()] == boxes
    assert len({round(bone.months, 1) for bone in together.values()}) == 3


@needs_bundle
def test_a_plate_is_read_as_it_is_and_mirrored_whatever_else_the_views_do() -> None:
    frame, boxes = three_plates()

    def months(*views: View) -> list[float]:
        return [bone.months for bone in read_bones({"epiphysis": plates_reader(views)}, {}, frame, boxes, "M")]

    plain, both = months(AS_IT_IS), months(AS_IT_IS, View(mirrored=True))
    assert months(AS_IT_IS, View(mirrored=True, scale=1.05, degrees=-5)) == pytest.approx(both)
    assert months(AS_IT_IS, View(scale=1.05)) == pytest.approx(plain)
    assert both != pytest.approx(plain, abs=0.1)


@needs_bundle
def test_scales_apply_and_what_is_too_far_off_gets_no_age() -> None:
    frame, boxes = three_plates()
    readers = {"epiphysis": plates_reader()}
    raw = {bone.name: bone for bone in read_bones(readers, {}, frame, boxes, "M")}
    scales = {"MCP2": BoneScale(0.5, 20, 3, 10), "ulna": BoneScale(error=LARGEST_ERROR + 1)}
    found = {bone.name: bone for bone in read_bones(readers, scales, frame, boxes, "M")}
    assert list(found) == ["MCP2", "DIP2"]
    assert found["MCP2"].months == pytest.approx(20 + 0.5 * raw["MCP2"].months)
    assert found["MCP2"].spread == pytest.approx(3 * raw["MCP2"].spread)
    assert found["DIP2"].months == raw["DIP2"].months


def test_a_distribution_moves_with_its_age_and_widens_with_its_spread() -> None:
    grid = np.arange(240)
    around = np.exp(-(((grid - 100) / 6) ** 2) / 2)
    raw = BoneReading("MCP2", BOX, 100.0, 6.0, distribution=np.asarray(around / around.sum(), np.float32))
    (bone,) = scaled([raw], {"MCP2": BoneScale(slope=0.5, offset=80, factor=2)})
    assert (bone.months, bone.spread) == (130, 12)
    assert bone.distribution is not None
    mean = float(bone.distribution @ grid)
    assert mean == pytest.approx(130, abs=0.1)
    assert np.sqrt(bone.distribution @ (grid - mean) ** 2) == pytest.approx(12, abs=0.1)


def test_what_is_found_but_not_read_is_named() -> None:
    boxes = [RegionBox("epiphysis", (0, 0, 9, 9), 0.9, name) for name in ("ulna", "IP1", None)]
    boxes += [RegionBox("phalanx", (0, 0, 9, 9), 0.9, "digit1"), RegionBox("hand", (0, 0, 9, 9), 0.9)]
    assert unread(boxes, [BoneReading("ulna", BOX, 100, 9)]) == ("IP1", "digit1")
    assert unread(boxes, []) == ()


@needs_bundle
def test_a_hand_s_bones_come_with_its_bone_age() -> None:
    age = load(tta=False).predict(EXAMPLES / "girl-10y.png", sex="F")
    names = [bone.name for bone in age.bones]
    assert names == [name for name in BONES if name in names]
    assert {"MCP2", "MCP3", "PIP3", "digit2", "digit3", "digit4", "carpal"} <= set(names)
    near = np.median([bone.months for bone in age.bones if bone.name.startswith("digit")])
    assert near == pytest.approx(age.months, abs=24)
    assert age.to_dict()["bones"]["MCP3"]["far_from_the_others"] is False


@needs_bundle
def test_without_a_sex_bones_lie_midway() -> None:
    reader = load(tta=False)
    analysis = reader.analyse(EXAMPLES / "girl-10y.png")
    ages = [{bone.name: bone.months for bone in reader.read(analysis, sex).bones} for sex in ("F", "M", None)]
    assert ages[2]["MCP3"] == pytest.approx((ages[0]["MCP3"] + ages[1]["MCP3"]) / 2)


@needs_bundle
def test_a_plate_is_read_upright_however_its_digit_leans() -> None:
    analysis = load(tta=False).analyse(EXAMPLES / "girl-10y.png")
    plates = [box for box in analysis.boxes if box.region == "epiphysis" and box.name not in ("radius", "ulna")]
    turn = cv2.getRotationMatrix2D((208, 256), -25, 1.0)  # clockwise
    turned = HandFrame(np.asarray(cv2.warpAffine(analysis.frame.pixels, turn, (416, 512)), np.uint8), np.eye(2, 3))
    moved = [replace(box, box=moved_box(box, turn)) for box in plates]
    leans = leaning(plates)
    assert {name: lean - leans[name] for name, lean in leaning(moved).items() if lean} == pytest.approx(
        {name: 25 for name, lean in leans.items() if lean}
    )
    readers = {"epiphysis": plates_reader()}
    before, after = (
        {bone.name: bone.months for bone in read_bones(readers, {}, frame, boxes, "F")}
        for frame, boxes in ((analysis.frame, plates), (turned, moved))
    )
    assert before.keys() == after.keys()
    assert np.mean([abs(after[name] - before[name]) for name in before]) < 5


def moved_box(box: RegionBox, turn: np.ndarray) -> tuple[float, float, float, float]:
    """A box of the same size around where its middle goes."""
    left, top, right, bottom = box.box
    x, y = turn @ [(left + right) / 2, (top + bottom) / 2, 1]
    width, height = (right - left) / 2, (bottom - top) / 2
    return float(x - width), float(y - height), float(x + width), float(y + height)


def test_a_digit_of_which_one_plate_was_found_leans_nobody_knows_how() -> None:
    frame, boxes = three_plates()
    assert leaning(boxes[1:]).keys() == {"radius", "ulna", "carpal"}
    assert upright_turns(frame, boxes[1:], "epiphysis") == [0.0, 0.0]


@needs_bundle
@pytest.mark.parametrize(("name", "sex", "years"), [("boy-10y", "M", 10), ("girl-10y", "F", 10), ("girl-4y", "F", 4)])
def test_the_shipped_bundle_gives_every_bone_an_age(name: str, sex: str, years: float) -> None:
    age = load(tta=False).predict(EXAMPLES / f"{name}.png", sex=sex)
    assert [bone.name for bone in age.bones] == list(BONES)
    assert np.abs([bone.months - 12 * years for bone in age.bones]).max() < 60
    assert min(bone.spread for bone in age.bones) > 0


@needs_bundle
@pytest.mark.parametrize("views", [1, 2, 6])
def test_what_the_region_says_of_its_one_bone_spares_the_network_but_changes_no_age(views: int) -> None:
    frame, _ = three_plates()
    boxes = [RegionBox("carpal", (180, 300, 280, 380), 0.9)]
    path = DEFAULT_BUNDLE / "regions" / "carpal.onnx"
    reader = RegionReader(path, "carpal", size=(112, 128), margin=0.1, views=SIX_VIEWS[:views])
    said = reader(frame, boxes, "F")
    assert said is not None
    (asked,) = read_bones({"carpal": reader}, {}, frame, boxes, "F")
    (spared,) = read_bones({"carpal": reader}, {}, frame, boxes, "F", [said])
    assert spared.months == pytest.approx(asked.months, abs=1e-3)
    assert spared.spread == pytest.approx(asked.spread, abs=1e-3)
