"""The network that says how far a hand is squashed."""

from typing import Any

import timm
from torch import Tensor, nn

from boneage_roi.learning.backbones import PIXEL_MEAN, PIXEL_STD, load_imagenet

STAGES = 5
"""Of EfficientNet-Lite0; they end at a stride of 16."""


class AspectNet(nn.Module):
    """Views (N, 1, S, S) in 0..1 to the natural logarithm of how much too wide the hand is, (N,)."""

    def __init__(self, *, pretrained: bool = True) -> None:
        super().__init__()
        network: Any = timm.create_model("tf_efficientnet_lite0", in_chans=1)
        if pretrained:
            load_imagenet(network)
        self.stem = nn.Sequential(network.conv_stem, network.bn1)
        self.blocks = network.blocks[:STAGES]
        width = int(self.blocks[-1][-1].conv_pwl.out_channels)
        self.expand = nn.Sequential(nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width), nn.ReLU6())
        self.head = nn.Sequential(nn.Dropout(0.1), nn.Linear(4 * width, 64), nn.ReLU(), nn.Linear(64, 1))

    def forward(self, views: Tensor) -> Tensor:
        maps = self.stem((views - PIXEL_MEAN) / PIXEL_STD)
        for block in self.blocks:
            maps = block(maps)
        error: Tensor = self.head(self.expand(maps).mean((2, 3))).squeeze(-1)
        return error
