"""Networks that do what no exported network does."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

BODY = ("Add", ["x", "x"], ["y"])


def node(kind: str, inputs: list[str], outputs: list[str], **attributes: Any) -> Any:
    """One operator."""
    return helper.make_node(kind, inputs, outputs, **attributes)


def model(nodes: Sequence[Any] = (), weights: dict[str, np.ndarray] | None = None, **fields: Any) -> Any:
    """A network from "x", float32 (1,), to "y"; without nodes one that doubles it."""
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in (weights or {}).items()]
    number = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    answer = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(list(nodes) or [node(*BODY)], "g", [number], [answer], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, **fields)


def takes(path: Path, shape: list[int | str], kind: str = "Identity", **attributes: Any) -> Path:
    """A network of one operator, with an input of that shape."""
    made = model([node(kind, ["x"], ["y"], **attributes)])
    made.graph.input[0].CopyFrom(helper.make_tensor_value_info("x", TensorProto.FLOAT, shape))
    kinds = {"Shape": TensorProto.INT64}
    made.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", kinds.get(kind, TensorProto.FLOAT), None))
    path.write_bytes(made.SerializeToString())
    return path


def inner(name: str) -> Any:
    """A graph for inside an operator."""
    out = helper.make_tensor_value_info(name, TensorProto.BOOL, [])
    return helper.make_graph([node("Identity", ["going"], [name])], "inner", [], [out])


def chain(*steps: Any, **weights: np.ndarray) -> Any:
    """A network that does some steps, ending in "big", and says the largest number in it."""
    return model([*steps, node("ReduceMax", ["big"], ["y"], keepdims=0)], weights)


def large(side: int) -> dict[str, Any]:
    """Networks of few bytes that ask for a square of ``side`` numbers a side, each in its own way."""
    shape, axis = np.array([side, side], np.int64), np.array([1], np.int64)
    column, row = np.ones((side, 1), np.float32), np.ones((1, side), np.float32)
    one = np.array(1, np.float32)
    square = node("Unsqueeze", ["x", "axis"], ["xx"])
    return {
        "ConstantOfShape": chain(node("ConstantOfShape", ["s"], ["big"]), s=shape),
        "Expand": chain(node("Expand", ["x", "s"], ["big"]), s=shape),
        "Tile": chain(square, node("Tile", ["xx", "s"], ["big"]), axis=axis, s=shape),
        "Tile of a Tile": chain(
            square,
            node("Tile", ["xx", "wide"], ["long"]),
            node("Tile", ["long", "high"], ["big"]),
            axis=axis,
            wide=np.array([1, side], np.int64),
            high=np.array([side, 1], np.int64),
        ),
        "Resize": chain(
            node("Reshape", ["x", "image"], ["pixel"]),
            node("Resize", ["pixel", "", "", "s"], ["big"]),
            image=np.array([1, 1, 1, 1], np.int64),
            s=np.array([1, 1, side, side], np.int64),
        ),
        "Pad": chain(square, node("Pad", ["xx", "s"], ["big"]), axis=axis, s=np.array([0, 0, side, side], np.int64)),
        "Range": chain(
            node("Range", ["start", "end", "step"], ["row"]),
            node("Unsqueeze", ["row", "axis"], ["column"]),
            node("Add", ["row", "column"], ["big"]),
            start=np.array(0, np.float32),
            end=np.array(side, np.float32),
            step=one,
            axis=axis,
        ),
        "an outer product of the input": chain(
            node("Mul", ["column", "x"], ["scaled"]),
            node("MatMul", ["scaled", "row"], ["big"]),
            column=column,
            row=row,
        ),
        "an outer product of weights": chain(node("MatMul", ["column", "row"], ["big"]), column=column, row=row),
        "Einsum": chain(node("Einsum", ["line", "line"], ["big"], equation="i,j->ij"), line=np.ones(side, np.float32)),
        "a shape worked out from fractions": chain(
            node("Mul", ["root", "root"], ["whole"]),
            node("Cast", ["whole"], ["s"], to=TensorProto.INT64),
            node("Expand", ["x", "s"], ["big"]),
            root=np.array([side], np.float32),
        ),
    }
