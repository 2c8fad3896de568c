"""From the detector's rows to the regions of a hand."""

from pathlib import Path

import numpy as np
import pytest

from boneage_roi.detection.runtime import Detector, padded, select_regions
from boneage_roi.regions import REGIONS, detected
from boneage_roi.values import HandFrame

FOUND = detected(REGIONS)
CLASS = {region: index for index, region in enumerate(FOUND)}


def row_of_boxes(count: int, step: float = 40, side: float = 30) -> np.ndarray:
    left = step * np.arange(count)
    return np.column_stack([left, np.zeros(count), left + side, np.full(count, side)])


def test_padded_frame_is_centred_and_its_map_leads_back() -> None:
    frame = np.zeros((512, 416), np.uint8)
    frame[200:240, 100:140] = 255
    square, scale, offset = padded(frame, 256)
    assert square.shape == (256, 256)
    rows, columns = np.nonzero(square > 127)
    corners = (np.array([[columns.min(), rows.min()], [columns.max() + 1, rows.max() + 1]]) - offset) / scale
    np.testing.assert_allclose(corners, [[100, 200], [140, 240]], atol=1 / scale)
    assert (square[:, : int(offset[0])] == 0).all()


@pytest.mark.parametrize(("shape", "offset"), [((512, 416), (24, 0)), ((416, 512), (0, 24)), ((300, 100), (85, 0))])
def test_a_frame_lies_in_the_middle_of_its_square(shape: tuple[int, int], offset: tuple[int, int]) -> None:
    square, scale, found = padded(np.full(shape, 9, np.uint8), 256)
    assert tuple(found) == offset
    assert scale == 256 / max(shape)
    rows, columns = np.nonzero(square)
    assert (columns.min(), rows.min()) == offset
    assert abs(columns.min() - (255 - columns.max())) <= 1
    assert abs(rows.min() - (255 - rows.max())) <= 1


def test_what_is_fine_in_a_frame_is_averaged_in_its_square() -> None:
    chequered = (np.indices((1024, 1024)).sum(0) % 2 * 200).astype(np.uint8)
    assert padded(chequered, 256)[0].std() < 2
    lines = np.tile(np.array([200, 0, 0, 0], np.uint8), (1024, 256))
    assert (padded(lines, 256)[0] == 50).all()


@pytest.mark.parametrize(("region", "least"), [("carpal", 0.05), ("phalanx", 0.25), ("epiphysis", 0.25)])
def test_a_region_that_comes_once_is_believed_sooner(region: str, least: float) -> None:
    """Little else can be meant by its surest box."""
    for score, found in ((least - 0.01, 0), (least + 0.001, 1)):
        assert (
            len(select_regions(row_of_boxes(1), np.array([score], np.float32), np.array([CLASS[region]]), FOUND))
            == found
        )


def test_a_small_box_within_a_large_one_is_another_region() -> None:
    """They share less than half of what they cover together."""
    large, small, most = [100.0, 50, 200, 150], [110.0, 60, 130, 140], [100.0, 50, 200, 110]
    sure = np.array([0.9, 0.8], np.float32)
    classes = np.full(2, CLASS["epiphysis"])
    assert len(select_regions(np.array([large, small]), sure, classes, FOUND)) == 2
    assert len(select_regions(np.array([small, large]), sure, classes, FOUND)) == 2
    assert len(select_regions(np.array([large, most]), sure, classes, FOUND)) == 1
    assert len(select_regions(np.array([most, large]), sure, classes, FOUND)) == 1


def test_boxes_without_an_area_do_no_harm() -> None:
    flat = np.array([[5.0, 5, 5, 5], [5.0, 5, 5, 5]])
    assert len(select_regions(flat, np.array([0.9, 0.8], np.float32), np.full(2, CLASS["epiphysis"]), FOUND)) == 2


@pytest.mark.parametrize(("region", "most"), [("carpal", 1), ("phalanx", 5), ("epiphysis", 16)])
def test_no_more_regions_than_a_hand_has(region: str, most: int) -> None:
    scores = np.linspace(0.3, 0.9, 20).astype(np.float32)
    found = select_regions(row_of_boxes(20), scores, np.full(20, CLASS[region]), FOUND)
    assert [box.region for box in found] == [region] * most
    assert [box.confidence for box in found] == sorted(scores.tolist(), reverse=True)[:most]


def test_of_two_boxes_on_one_place_the_surer_stays() -> None:
    corners = np.array([[10, 10, 50, 50], [12, 11, 52, 51], [80, 10, 120, 50]], float)
    scores = np.array([0.6, 0.8, 0.5], np.float32)
    found = select_regions(corners, scores, np.full(3, CLASS["epiphysis"]), FOUND)
    assert [box.box[0] for box in found] == [12, 80]


def test_neighbours_that_touch_both_stay() -> None:
    corners = np.array([[0, 0, 40, 40], [25, 0, 65, 40]], float)
    found = select_regions(corners, np.array([0.9, 0.8], np.float32), np.full(2, CLASS["epiphysis"]), FOUND)
    assert len(found) == 2


def test_small_boxes_beside_each_other_all_stay() -> None:
    found = select_regions(row_of_boxes(4, 3, 1), np.full(4, 0.9, np.float32), np.full(4, CLASS["epiphysis"]), FOUND)
    assert len(found) == 4


def test_doubles_are_known_wherever_in_the_frame_they_lie() -> None:
    """They share 60 % of what they cover together."""
    boxes = np.array([[1000, 0, 1040, 40], [1010, 0, 1050, 40], [0, 1000, 40, 1040], [0, 1010, 40, 1050]], float)
    for order in ([0, 1], [1, 0], [2, 3], [3, 2]):
        found = select_regions(boxes[order], np.array([0.9, 0.8], np.float32), np.full(2, CLASS["epiphysis"]), FOUND)
        assert [box.box for box in found] == [tuple(boxes[order[0]])]


def test_regions_may_lie_on_each_other() -> None:
    corners = np.repeat([[10, 10, 50, 50]], len(CLASS), axis=0).astype(float)
    found = select_regions(corners, np.full(len(CLASS), 0.9, np.float32), np.array(list(CLASS.values())), FOUND)
    assert {box.region for box in found} == set(FOUND)


def test_nothing_found_is_an_empty_list() -> None:
    assert select_regions(np.zeros((0, 4)), np.zeros(0, np.float32), np.zeros(0, int), FOUND) == []


def bright_spot_detector(path: Path, size: int, number: int = 1) -> Path:
    """A detector whose network boxes the pixels of its square that are brighter than 0.5, sure to 0.9, as a class."""
    onnx = pytest.importorskip("onnx")
    node, constant = onnx.helper.make_node, onnx.numpy_helper.from_array
    nodes = [node("ReduceMax", ["images"], ["grey"], axes=[0, 1], keepdims=0)]
    for axis, (first, last) in enumerate((("top", "bottom"), ("left", "right"))):
        line = f"line{axis}"
        nodes += [
            node("ReduceMax", ["grey"], [line], axes=[1 - axis], keepdims=0),
            node("Greater", [line, "half"], [f"{line}_bright"]),
            node("Cast", [f"{line}_bright"], [f"{line}_number"], to=1),
            node("ArgMax", [f"{line}_number"], [f"{first}_at"], axis=0, keepdims=1),
            node("Cast", [f"{first}_at"], [first], to=1),
            node("ArgMax", [f"{line}_number"], [f"{last}_at"], axis=0, keepdims=1, select_last_index=1),
            node("Cast", [f"{last}_at"], [f"{last}_in"], to=1),
            node("Add", [f"{last}_in", "one"], [last]),  # a box ends behind its last pixel
        ]
    nodes += [
        node("Concat", ["left", "top", "right", "bottom", "sure", "class"], ["row"], axis=0),
        node("Reshape", ["row", "shape"], ["rows"]),
    ]
    values = {
        "half": np.array([0.5], np.float32),
        "one": np.array([1], np.float32),
        "class": np.array([number], np.float32),
        "sure": np.array([0.9], np.float32),
        "shape": np.array([1, 1, 6], np.int64),
    }
    graph = onnx.helper.make_graph(
        nodes,
        "spot",
        [onnx.helper.make_tensor_value_info("images", 1, [1, 3, size, size])],
        [onnx.helper.make_tensor_value_info("rows", 1, [1, 1, 6])],
        [constant(np.asarray(value), name) for name, value in values.items()],
    )
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.mark.parametrize(("shape", "number"), [((512, 416), 1), ((300, 480), 0), ((320, 320), 1)])
def test_18_17_a_box_is_found_where_the_frame_shows_it(tmp_path: Path, shape: tuple[int, int], number: int) -> None:
    """A frame that is not square is padded for the network; its boxes are in the frame's own pixels all the same."""
    frame = np.full(shape, 127, np.uint8)
    left, top, right, bottom = truth = (60, 120, 140, 220)
    frame[top:bottom, left:right] = 128  # above half of 255, which is white
    regions = ["carpal", "metacarpal"]
    found = Detector(bright_spot_detector(tmp_path / "spot.onnx", 256, number), regions)(HandFrame(frame, np.eye(2, 3)))
    assert [box.region for box in found] == [regions[number]]
    assert [box.confidence for box in found] == pytest.approx([0.9])
    np.testing.assert_allclose(found[0].box, truth, atol=2 * max(shape) / 256)


def test_a_box_never_leaves_the_frame(tmp_path: Path) -> None:
    frame = np.full((400, 200), 255, np.uint8)
    (box,) = Detector(bright_spot_detector(tmp_path / "spot.onnx", 256), ["carpal", "metacarpal"])(
        HandFrame(frame, np.eye(2, 3))
    )
    np.testing.assert_allclose(box.box, (0, 0, 200, 400), atol=2)
    assert box.box[:2] == (0, 0)
    assert box.box[2] <= 200
