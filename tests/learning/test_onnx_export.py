"""An exported network works nothing out that its file may know, and gives what the network gives."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

pytest.importorskip("timm", reason="needs the extra train")

from timm.layers.conv2d_same import Conv2dSame

from boneage_roi.learning.onnx_export import export_onnx, load_onnx


class Padded(torch.nn.Module):
    """Two convolutions whose padding follows from the image's size; the second one's also from the batch."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = Conv2dSame(1, 16, 5, stride=2)
        self.second = Conv2dSame(16, 32, 3, stride=2)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.second(torch.relu(self.first(image)))
        found = torch.nn.functional.pad(found, (0, image.shape[0]))
        return found[..., :3].mean((2, 3))


def test_paddings_are_numbers_and_the_answers_stay(tmp_path: Path) -> None:
    path, network = tmp_path / "network.onnx", Padded()
    names = {"image": {0: "n"}, "found": {0: "n"}}
    image = torch.zeros(1, 1, 33, 18)
    export_onnx(network, (image,), path, input_names=["image"], output_names=["found"], dynamic=names)
    graph = onnx.load(str(path)).graph
    known = {tensor.name for tensor in graph.initializer}
    assert [node.input[1] in known for node in graph.node if node.op_type == "Pad"] == [True, True, False]
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    load_onnx(network, path)  # the weights as the file has them, in 16 bits
    for batch in (1, 3):
        images = np.random.default_rng(batch).random((batch, 1, 33, 18), np.float32)
        (found,) = session.run(None, {"image": images})
        np.testing.assert_allclose(found, network(torch.from_numpy(images)).detach().numpy(), atol=1e-6)
