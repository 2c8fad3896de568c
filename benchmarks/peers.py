"""The peers of benchmarks/speed.py: forward passes of whole-hand networks of the field, with random weights."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort

PEERS = {
    "Deeplasia's three networks": (("efficientnet_b0", 512), ("efficientnet_b0", 1024), ("efficientnet_b4", 512)),
    "ConvNeXt-T at 512": (("convnext_tiny", 512),),
}
"""Name of a system -> its networks: a timm name, and the side of the square image that it sees."""


@dataclass(frozen=True)
class Peer:
    """The networks of a system, open in ONNX Runtime.

    Attributes:
        name: of the system.
        passes: a session and the image for it, for each network.
    """

    name: str
    passes: tuple[tuple[ort.InferenceSession, np.ndarray], ...]

    def run(self) -> None:
        """One forward pass of every network, one after the other."""
        for session, image in self.passes:
            session.run(None, {"image": image})


def open_peers(folder: Path, threads: int) -> list[Peer]:
    """Export and open every peer.

    Args:
        folder: takes their ONNX files.
        threads: of each session.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    peers = []
    for name, networks in PEERS.items():
        passes = []
        for backbone, side in networks:
            path = _exported(backbone, side, folder)
            session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            passes.append((session, np.random.default_rng(0).random((1, 3, side, side), dtype=np.float32)))
        peers.append(Peer(name, tuple(passes)))
    return peers


def _exported(backbone: str, side: int, folder: Path) -> Path:
    import timm
    import torch

    path = folder / f"{backbone}-{side}.onnx"
    torch.manual_seed(0)
    network = timm.create_model(backbone, pretrained=False, num_classes=1).eval()
    torch.onnx.export(
        network, (torch.zeros(1, 3, side, side),), str(path), input_names=["image"], opset_version=17, dynamo=False
    )
    return path
