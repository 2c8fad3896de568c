"""The network that reads one region: crops of it in, an age distribution and a feature vector out."""

import torch
from torch import Tensor, nn

from boneage_roi.configs.schema import RegionConfig
from boneage_roi.learning.backbones import (
    GOOGLENET,
    LITE,
    PIXEL_MEAN,
    PIXEL_STD,
    check_backbone,
    google_network,
    lite_network,
    pixel_normalisation,
    timm_network,
)
from boneage_roi.learning.depthwise import DepthwiseConv
from boneage_roi.regional_models.networks.cbam import CBAM
from boneage_roi.regional_models.networks.contract import Outputs, RegionNetwork
from boneage_roi.regional_models.networks.options import refuse_options
from boneage_roi.values import MONTHLY, AgeGrid

FEATURES = 64
"""Length of a region's feature vector."""

PLACE = 4
"""Numbers that say where a crop lies in the frame: centre x, centre y, width, height, as shares of the frame."""


class Backbone(nn.Module):
    """The first ``stages`` of a built-in EfficientNet-Lite, with ``attention`` CBAM behind the last two.

    Small crops need no stride of 32: five stages end at a stride of 16. Maps (N, 1, h, w) to (N, channels, h', w').
    """

    def __init__(self, stages: int, *, attention: bool, weights: str, name: str = "efficientnet-lite0") -> None:
        super().__init__()
        network = lite_network(name, weights)
        self.started_from = str(network.started_from)
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


class TimmBackbone(nn.Module):
    """Any of timm's networks, or GoogLeNet, up to its pooled features: images (N, 1, h, w) to (N, ``channels``)."""

    def __init__(self, name: str, *, weights: str, size: tuple[int, int]) -> None:
        super().__init__()
        self.network = google_network(weights) if name == GOOGLENET else timm_network(name, weights, size)
        self.started_from = str(self.network.started_from)
        self.mean, self.std = pixel_normalisation(self.network)
        self.channels = int(getattr(self.network, "head_hidden_size", self.network.num_features))
        self.map_channels: int = int(self.network.num_features)

    def forward(self, images: Tensor) -> Tensor:
        vectors: Tensor = self.network((images - self.mean) / self.std)
        return vectors

    def maps(self, images: Tensor) -> Tensor:
        """The last feature maps (N, ``map_channels``, h', w') of convolutional networks of timm."""
        maps: Tensor = self.network.forward_features((images - self.mean) / self.std)
        return maps

    def pooled(self, maps: Tensor) -> Tensor:
        """Vectors (N, ``channels``) of feature maps: what the whole network makes of images with these."""
        vectors: Tensor = self.network.forward_head(maps)
        return vectors

    def parts(self) -> list[nn.Module]:
        """Stem and blocks in their order."""
        parts: list[nn.Module] = []
        for child in self.network.children():
            inner = list(child.children()) if isinstance(child, (nn.Sequential, nn.ModuleList)) else []
            parts += inner or [child]
        return [part for part in parts if any(True for _ in part.parameters())]


class RegionNet(RegionNetwork):
    """One backbone over all crops of a region, attention pooling, sex, an age distribution.

    With ``sex_head`` the training also asks for the sex (Tanner-Whitehouse joint learning, TJ-Net); it is not exported.
    ``attention`` and ``sex`` (whether the network heeds the sex) are there to be switched off and measured.

    Args:
        backbone: images (M, 1, h, w) to maps (M, ``channels``, h', w') or vectors (M, ``channels``).
        bins: ages of the distribution.
    """

    features_length = FEATURES

    def __init__(
        self, backbone: Backbone | TimmBackbone, *, bins: int = MONTHLY.bins, sex: bool = True, sex_head: bool = False
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.started_from = backbone.started_from
        self.heeds_sex = float(sex)
        width = backbone.channels
        whole = isinstance(backbone, TimmBackbone)
        wide = width if whole else 4 * width
        self.expand = (
            nn.Identity()
            if whole
            else nn.Sequential(nn.Conv2d(width, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.ReLU6())
        )
        self.place = nn.Linear(PLACE, wide)
        self.pool = AttentionPooling(wide)
        self.sex = nn.Linear(1, 32)
        self.features = nn.Sequential(nn.Dropout(0.2), nn.Linear(wide + 32, FEATURES), nn.ReLU())
        self.age = nn.Linear(FEATURES, bins)
        self.sex_head = nn.Linear(wide, 1) if sex_head else None

    def vectors(self, crops: Tensor, places: Tensor) -> Tensor:
        """A vector a crop before the sex is known, (N, C, D): what pooling makes of a hand that shows no other crop."""
        maps = self.expand(self.backbone(crops.flatten(0, 1)))
        means = maps.mean((2, 3)) if maps.ndim == 4 else maps
        vectors: Tensor = means.unflatten(0, crops.shape[:2]) + self.place(places)
        return vectors

    def heads(self, pooled: Tensor, sex: Tensor) -> tuple[Tensor, Tensor]:
        """Age logits (N, bins) and features (N, 64)."""
        signed = self.heeds_sex * (2 * sex.unsqueeze(-1) - 1)
        features = self.features(torch.cat([pooled, self.sex(signed).relu()], dim=-1))
        return self.age(features), features

    def outputs(self, crops: Tensor, present: Tensor, places: Tensor, sex: Tensor) -> Outputs:
        pooled = self.pool(self.vectors(crops, places), present)
        guess = None if self.sex_head is None else self.sex_head(pooled).squeeze(-1)
        return Outputs(self.heads(pooled, sex)[0], guess)

    def each_alone(self, crops: Tensor, present: Tensor, places: Tensor, sex: Tensor) -> tuple[Outputs, Tensor]:
        hand, crop = (present > 0.5).nonzero(as_tuple=True)
        return Outputs(self.heads(self.vectors(crops, places)[hand, crop], sex[hand])[0]), hand

    def stages(self) -> list[nn.Module]:
        if isinstance(self.backbone, TimmBackbone):
            return self.backbone.parts()
        first, *others = self.backbone.blocks.children()
        return [nn.ModuleList([self.backbone.stem, first]), *others]

    def ready_for_export(self) -> "RegionNet":
        self.sex_head = None
        return self

    def forward(self, crops: Tensor, present: Tensor, places: Tensor, sex: Tensor) -> tuple[Tensor, Tensor]:
        logits, features = self.heads(self.pool(self.vectors(crops, places), present), sex)
        return logits.softmax(-1), features


def build_backbone(config: RegionConfig) -> Backbone | TimmBackbone:
    """The backbone of a region's settings.

    Raises:
        InputError: it is neither built-in nor timm's, or its weights cannot be had.
    """
    check_backbone(config.backbone)
    if config.backbone in LITE:
        return Backbone(config.stages, attention=config.attention, weights=config.weights, name=config.backbone)
    return TimmBackbone(config.backbone, weights=config.weights, size=config.size)


def build(config: RegionConfig, grid: AgeGrid) -> RegionNetwork:
    """A network of a region's settings."""
    refuse_options(config)
    return RegionNet(build_backbone(config), bins=grid.bins, sex=config.sex, sex_head=config.sex_loss_weight > 0)
