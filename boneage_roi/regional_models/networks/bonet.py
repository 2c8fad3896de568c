"""BoNet: five convolution layers from scratch, a deformation layer, a regressor (Spampinato et al., Med Image Anal
2017;36:41-51).

The deformation layer is a spatial transformer (Jaderberg et al., NIPS 2015) on the feature maps: it learns how to turn,
move and stretch them. Beside its age the network gives an age map: the regressor's answer at every place of the maps.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from boneage_roi.configs.schema import RegionConfig
from boneage_roi.regional_models.networks.contract import Outputs, RegionNetwork
from boneage_roi.regional_models.networks.heads import AgeRegression, SexBranch, mean_of_present
from boneage_roi.regional_models.networks.options import Value, chosen_options
from boneage_roi.values import AgeGrid

OPTIONS: dict[str, Value] = {"width": 96, "hidden": 2048, "dropout": 0.5, "deformation": True}


def _layer(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    ]


class Deformation(nn.Module):
    """Turns, moves and stretches feature maps (N, C, h, w) by what it sees in them; at the start it leaves them.

    The affine map of each hand goes from the places of the new maps to those of the old ones, in -1..1.
    """

    def __init__(self, channels: int, hidden: int = 32) -> None:
        super().__init__()
        self.look = nn.Sequential(nn.Conv2d(channels, hidden, 3, padding=1), nn.ReLU())
        self.affine = nn.Sequential(nn.Linear(16 * hidden, hidden), nn.ReLU(), nn.Linear(hidden, 6))
        last = self.affine[-1]
        assert isinstance(last, nn.Linear)
        nn.init.normal_(last.weight, std=1e-3)
        last.bias.data = torch.tensor([1.0, 0, 0, 0, 1, 0])

    def maps_of(self, maps: Tensor) -> Tensor:
        """The affine maps (N, 2, 3)."""
        blocks = tuple(max(int(side) // 4, 1) for side in maps.shape[2:])
        coarse = functional.avg_pool2d(self.look(maps), blocks)
        found: Tensor = self.affine(functional.interpolate(coarse, (4, 4), mode="bilinear").flatten(1))
        return found.reshape(-1, 2, 3)

    def forward(self, maps: Tensor) -> Tensor:
        height, width = (int(side) for side in maps.shape[2:])
        ys, xs = (torch.linspace(1 / side - 1, 1 - 1 / side, side, device=maps.device) for side in (height, width))
        y, x = torch.meshgrid(ys, xs, indexing="ij")
        places = torch.stack([x, y, torch.ones_like(x)], dim=-1).flatten(0, 1)
        grid = (places @ self.maps_of(maps).transpose(1, 2)).reshape(-1, height, width, 2)
        return functional.grid_sample(maps, grid, align_corners=False)


class BoNet(RegionNetwork):
    """Five convolution layers, the deformation layer, ``hidden`` units and one number."""

    map_name = "age_map"

    def __init__(self, grid: AgeGrid, *, width: int, hidden: int, dropout: float, deformation: bool, sex: bool) -> None:
        super().__init__()
        w = width
        self.layers = nn.ModuleList(
            [
                nn.Sequential(*_layer(1, w, 7, 2), nn.MaxPool2d(2)),
                nn.Sequential(*_layer(w, 2 * w, 5), nn.MaxPool2d(2)),
                nn.Sequential(*_layer(2 * w, 4 * w, 3), nn.MaxPool2d(2)),
                nn.Sequential(*_layer(4 * w, 4 * w, 3)),
                nn.Sequential(*_layer(4 * w, 8 * w, 3)),
            ]
        )
        self.deform = Deformation(8 * w) if deformation else None
        self.features_length = hidden
        self.hidden = nn.Sequential(nn.Linear(8 * w, hidden), nn.ReLU())
        self.dropout = nn.Dropout(dropout)
        self.sex = SexBranch(heeds=sex)
        self.age = AgeRegression(hidden + self.sex.units, grid)

    def maps(self, crops: Tensor) -> Tensor:
        """Feature maps (N C, channels, h, w) before the deformation."""
        maps = crops.flatten(0, 1)
        for layer in self.layers:
            maps = layer(maps)
        return maps

    def heads(self, maps: Tensor, crops: Tensor, present: Tensor, sex: Tensor) -> tuple[Tensor, Tensor]:
        """Age logits (N, bins) and features (N, hidden)."""
        straight = maps if self.deform is None else self.deform(maps)
        vectors = straight.mean((2, 3)).reshape(*crops.shape[:2], -1)
        features = self.hidden(mean_of_present(vectors, present))
        return self.age(self.sex(self.dropout(features), sex)), features

    def outputs(self, crops: Tensor, present: Tensor, places: Tensor, sex: Tensor) -> Outputs:
        return Outputs(self.heads(self.maps(crops), crops, present, sex)[0])

    def forward(self, crops: Tensor, present: Tensor, places: Tensor, sex: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        maps = self.maps(crops)
        logits, features = self.heads(maps, crops, present, sex)
        return logits.softmax(-1), features, self.place_ages(maps, crops, sex)

    def place_ages(self, maps: Tensor, crops: Tensor, sex: Tensor) -> Tensor:
        """The age in months (N, C, h, w) that the regressor makes of every place alone: a fully convolutional
        reading."""
        by_crop = maps.reshape(*crops.shape[:2], *maps.shape[1:])
        places = by_crop.permute(0, 1, 3, 4, 2)
        known = sex[:, None, None, None].expand(places.shape[:-1])
        return self.age.age(self.sex(self.hidden(places), known)).squeeze(-1)

    def stages(self) -> list[nn.Module]:
        return list(self.layers)


def build(config: RegionConfig, grid: AgeGrid) -> RegionNetwork:
    """BoNet of a region's settings; options ``width``, ``hidden``, ``dropout`` and ``deformation``."""
    chosen = chosen_options(config, OPTIONS)
    return BoNet(
        grid,
        width=int(chosen["width"]),
        hidden=int(chosen["hidden"]),
        dropout=float(chosen["dropout"]),
        deformation=bool(chosen["deformation"]),
        sex=config.sex,
    )
