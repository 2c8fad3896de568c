"""A drawn hand of a known aspect, for tests: a palm, three fingers, a forearm."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from boneage_roi.imaging.frame import hand_frame
from boneage_roi.values import HandFrame, HandMask, Radiograph


def drawn(degrees: float = 0, error: float = 0) -> tuple[Radiograph, HandMask]:
    """A hand that is turned counter-clockwise, then made ``exp(error)`` times too wide, on black."""
    canvas = np.zeros((500, 400), np.float32)
    cv2.ellipse(canvas, (200, 280), (70, 90), 0, 0, 360, 0.7, cv2.FILLED)
    for x, top in ((140, 120), (200, 80), (255, 130)):
        cv2.line(canvas, (200 + (x - 200) // 2, 240), (x, top), 0.9, 30)
    cv2.rectangle(canvas, (160, 340), (240, 499), 0.6, cv2.FILLED)
    points = np.array([[200, 370], [200, 210]], float)
    turn = cv2.getRotationMatrix2D((200, 250), degrees, 1)
    linear = np.diag([np.exp(error / 2), np.exp(-error / 2)]) @ turn[:, :2]
    corners = np.array([[0, 0], [400, 0], [400, 500], [0, 500]]) @ linear.T
    matrix = np.column_stack([linear, -corners.min(axis=0)])
    width, height = np.ceil(np.ptp(corners, axis=0)).astype(int).tolist()
    pixels = np.asarray(cv2.warpAffine(canvas, matrix, (width, height)), np.float32)
    wrist, knuckle = (matrix @ [*point, 1] for point in points)
    mask = HandMask(pixels > 0.3, (float(wrist[0]), float(wrist[1])), (float(knuckle[0]), float(knuckle[1])), 1.0)
    return Radiograph(pixels), mask


def framed(degrees: float = 0, error: float = 0) -> tuple[HandFrame, HandMask]:
    """The same in its frame."""
    radiograph, mask = drawn(degrees, error)
    return hand_frame(radiograph, mask), mask


def extent(view: np.ndarray) -> float:
    """Width over height of what is seen."""
    rows, columns = np.nonzero(view > 40)
    return float(np.ptp(columns) / np.ptp(rows))


def constant_network(path: Path, value: float) -> Path:
    """A network that says the same of every view."""
    onnx = pytest.importorskip("onnx")
    TensorProto, helper = onnx.TensorProto, onnx.helper

    views = helper.make_tensor_value_info("views", TensorProto.FLOAT, ["views", 1, 64, 64])
    error = helper.make_tensor_value_info("error", TensorProto.FLOAT, ["views"])
    zero, said = (helper.make_tensor(name, TensorProto.FLOAT, [], [n]) for name, n in (("zero", 0.0), ("said", value)))
    nodes = [
        helper.make_node("ReduceMean", ["views"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "said"], ["error"]),
    ]
    graph = helper.make_graph(nodes, "constant", [views], [error], [zero, said])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path
