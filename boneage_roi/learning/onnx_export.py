"""Networks to ONNX files and back."""

import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from boneage_roi.errors import InputError
from boneage_roi.files import write_atomically

HALF = "_half"
"""Ending of the name of a weight that is stored as float16."""


def export_onnx(
    network: nn.Module,
    inputs: tuple[Tensor, ...],
    path: Path,
    *,
    input_names: list[str],
    output_names: list[str],
    dynamic: dict[str, dict[int, str]] | None = None,
) -> None:
    """Write a network as ONNX with its weights stored as float16, which halves the file; arithmetic stays float32.

    Weights keep their names and batch norms stay apart, so that :func:`load_onnx` can go on from the file; ONNX Runtime
    folds them when it opens it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".onnx.tmp")
    network.eval().cpu()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            inputs,
            str(temporary),
            input_names=input_names,
            output_names=output_names,
            dynamic_axes=dynamic,
            opset_version=17,
            dynamo=False,
            training=torch.onnx.TrainingMode.PRESERVE,
            do_constant_folding=False,
        )
        made = network(*inputs)
    model = onnx.load(str(temporary))
    temporary.unlink()
    _tell_shapes(model, made if isinstance(made, tuple) else (made,), dynamic or {})
    write_onnx(halve_weights(fix_padding(model)), path)


def write_onnx(model: onnx.ModelProto, path: Path) -> None:
    """Write a network; the same one is the same bytes, whatever order its maker listed its operator sets in."""
    versions = sorted(model.opset_import, key=lambda versioned: versioned.domain)
    del model.opset_import[:]
    model.opset_import.extend(versions)
    write_atomically(path, model.SerializeToString())


def _tell_shapes(model: onnx.ModelProto, made: tuple[Tensor, ...], dynamic: dict[str, dict[int, str]]) -> None:
    """Write the sizes of the outputs that do not change with the inputs, where the exporter lost them."""
    for output, tensor in zip(model.graph.output, made, strict=True):
        for place, (said, size) in enumerate(zip(output.type.tensor_type.shape.dim, tensor.shape, strict=True)):
            if place not in dynamic.get(output.name, {}):
                said.dim_value = size


def fix_padding(model: onnx.ModelProto) -> onnx.ModelProto:
    """Put what a network pads its images by, where it works that out anew each time, into the file as numbers.

    It rests on the height and width of the images alone, which the file knows; only batches differ. ONNX Runtime then
    makes one step of a padding and its convolution: the same numbers come out, a quarter sooner. What differs between
    batches of one and of two stays as it is.
    """
    graph = model.graph
    known = {tensor.name for tensor in graph.initializer}
    paddings = [node for node in graph.node if node.op_type == "Pad" and node.input[1] not in known]
    if not paddings:
        return model
    names = [node.input[1] for node in paddings]
    amounts = [_worked_out(model, names, batch) for batch in (1, 2)]
    for node, amount, other in zip(paddings, *amounts, strict=True):
        if np.array_equal(amount, other):
            fixed = numpy_helper.from_array(amount, f"{node.input[1]}_fixed")
            graph.initializer.append(fixed)
            node.input[1] = fixed.name
    needed = {output.name for output in graph.output}
    kept = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(node.input)
    del graph.node[:]
    graph.node.extend(reversed(kept))
    return model


def _worked_out(model: onnx.ModelProto, names: list[str], batch: int) -> list[NDArray[np.int64]]:
    """Whole numbers inside a network, for inputs of zeros whose open sizes are ``batch``."""
    asked = onnx.ModelProto()
    asked.CopyFrom(model)
    asked.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.INT64, None) for name in names)
    session = onnxruntime.InferenceSession(asked.SerializeToString(), providers=["CPUExecutionProvider"])
    zeros = {
        value.name: np.zeros([size if isinstance(size, int) else batch for size in value.shape], np.float32)
        for value in session.get_inputs()
    }
    return list(session.run(names, zeros))


def load_onnx(network: nn.Module, path: Path) -> None:
    """Fill a network with the weights that :func:`export_onnx` wrote of one like it.

    Raises:
        InputError: the file is of another network, or of a version that did not keep the names.
    """
    stored = {
        tensor.name.removesuffix(HALF): torch.from_numpy(numpy_helper.to_array(tensor).astype(np.float32))
        for tensor in onnx.load(str(path)).graph.initializer
    }
    wanted = {name: value for name, value in network.state_dict().items() if not name.endswith("num_batches_tracked")}
    if any(name not in stored or stored[name].shape != value.shape for name, value in wanted.items()):
        raise InputError(f"{path}: not the weights of the network that the settings ask for; train from nothing")
    network.load_state_dict({name: stored[name] for name in wanted}, strict=False)


def halve_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Store large float32 initializers as float16 behind a Cast, which ONNX Runtime folds when it opens the file."""
    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < 256 or len(tensor.dims) < 2:
            continue
        half = numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name + HALF)
        casts.append(helper.make_node("Cast", [half.name], [tensor.name], to=TensorProto.FLOAT))
        tensor.CopyFrom(half)
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(model)
    return model
