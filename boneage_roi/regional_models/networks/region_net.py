"""The network that reads one region: crops of it in, an age distribution and a feature vector out."""

from typing import Any

import timm
import torch
from torch import Tensor, nn

from boneage_roi.learning.backbones import PIXEL_MEAN, PIXEL_STD, load_imagenet
from boneage_roi.learning.depthwise import DepthwiseConv
from boneage_roi.regional_models.networks.cbam import CBAM
from boneage_roi.values import MONTHLY

FEATURES = 64
"""Length of a region's feature vector."""

PLACE = 4
"""Numbers that say where a crop lies in the frame: centre x, centre y, width, height, as shares of the frame."""


class Backbone(nn.Module):
    """The first ``stages`` of an ImageNet-initialised EfficientNet-Lite0, with ``attention`` CBAM behind the last two.

    Small crops need no stride of 32: five stages end at a stride of 16. Maps (N, 1, h, w) to (N, channels, h', w').
    """

    def __init__(self, stages: int, *, pretrained: bool, attention: bool) -> None:
        super().__init__()
        network: Any = timm.create_model("tf_efficientnet_lite0", in_chans=1)
        if pretrained:
            load_imagenet(network)
        self.stem = nn.Sequential(network.conv_stem, network.bn1)
        self.blocks = network.blocks[:stages]
        for layer in (layer for block in self.blocks for layer in block):
            if layer.conv_dw.kernel_size == (5, 5) and layer.conv_dw.stride == (1, 1):
                layer.conv_dw = DepthwiseConv.of(layer.conv_dw)
        widths = [int(block[-1].conv_pwl.out_channels) for block in self.blocks[1:]]
        places = {str(stages - 2): widths[-2], str(stages - 1): widths[-1]} if attention else {}
        self.attention = nn.ModuleDict({place: CBAM(width) for place, width in places.items()})
        self.channels = widths[-1]

    def forward(self, images: Tensor) -> Tensor:
        maps: Tensor = self.stem((images - PIXEL_MEAN) / PIXEL_STD)
        for index, block in enumerate(self.blocks):
            maps = block(maps)
            if str(index) in self.attention:
                maps = self.attention[str(index)](maps)
        return maps


class AttentionPooling(nn.Module):
    """Gated attention over the crops of a hand (Ilse et al., ICML 2018); absent crops get no weight.

    Maps crop vectors (N, C, D) and presence (N, C) to (N, D).
    """

    def __init__(self, width: int, hidden: int = 64) -> None:
        super().__init__()
        self.content = nn.Linear(width, hidden)
        self.gate = nn.Linear(width, hidden)
        self.score = nn.Linear(hidden, 1)

    def forward(self, crops: Tensor, present: Tensor) -> Tensor:
        scores = self.score(self.content(crops).tanh() * self.gate(crops).sigmoid()).squeeze(-1)
        weights = scores.masked_fill(present < 0.5, -1e4).softmax(-1)
        pooled: Tensor = (weights.unsqueeze(-1) * crops).sum(1)
        return pooled


class RegionNet(nn.Module):
    """One backbone over all crops of a region, attention pooling, sex, an age distribution.

    Inputs: crops float32 (N, C, 1, h, w) in 0..1, present float32 (N, C), places float32 (N, C, 4), sex float32 (N,)
    with 1 for male. Outputs: distribution (N, 240), features (N, 64). With ``sex_head`` the training also asks for
    the sex (Tanner-Whitehouse joint learning, TJ-Net); it is not exported. ``pretrained``, ``attention`` and ``sex``
    (whether the network heeds the sex) are there to be switched off and measured.
    """

    def __init__(
        self,
        stages: int,
        *,
        pretrained: bool = True,
        attention: bool = True,
        sex: bool = True,
        sex_head: bool = False,
    ) -> None:
        super().__init__()
        self.backbone = Backbone(stages, pretrained=pretrained, attention=attention)
        self.heeds_sex = float(sex)
        width = self.backbone.channels
        self.expand = nn.Sequential(nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width), nn.ReLU6())
        self.place = nn.Linear(PLACE, 4 * width)
        self.pool = AttentionPooling(4 * width)
        self.sex = nn.Linear(1, 32)
        self.features = nn.Sequential(nn.Dropout(0.2), nn.Linear(4 * width + 32, FEATURES), nn.ReLU())
        self.age = nn.Linear(FEATURES, MONTHLY.bins)
        self.sex_head = nn.Linear(4 * width, 1) if sex_head else None

    def vectors(self, crops: Tensor, places: Tensor) -> Tensor:
        """A vector a crop before the sex is known, (N, C, D): what pooling makes of a hand that shows no other crop."""
        maps = self.expand(self.backbone(crops.flatten(0, 1)))
        vectors: Tensor = maps.mean((2, 3)).unflatten(0, crops.shape[:2]) + self.place(places)
        return vectors

    def pooled(self, crops: Tensor, present: Tensor, places: Tensor) -> Tensor:
        """The hand's vector before the sex is known, (N, D)."""
        pooled: Tensor = self.pool(self.vectors(crops, places), present)
        return pooled

    def heads(self, pooled: Tensor, sex: Tensor) -> tuple[Tensor, Tensor]:
        """Age logits (N, 240) and features (N, 64)."""
        signed = self.heeds_sex * (2 * sex.unsqueeze(-1) - 1)
        features = self.features(torch.cat([pooled, self.sex(signed).relu()], dim=-1))
        return self.age(features), features

    def forward(self, crops: Tensor, present: Tensor, places: Tensor, sex: Tensor) -> tuple[Tensor, Tensor]:
        logits, features = self.heads(self.pooled(crops, present, places), sex)
        return logits.softmax(-1), features
