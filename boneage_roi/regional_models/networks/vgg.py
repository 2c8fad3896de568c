"""A network in the manner of VGG with two heads: one tells the age as a number, one as a class; the two are averaged.

Iglovikov et al. (DLMIA 2018, LNCS 11045:300-308) train the same layers once for regression and once for
classification, and average what the models say. Here the two share their convolutions.
"""

import itertools

import torch
from torch import Tensor, nn

from boneage_roi.configs.schema import RegionConfig
from boneage_roi.regional_models.networks.contract import Outputs, RegionNetwork
from boneage_roi.regional_models.networks.heads import AgeRegression, SexBranch, mean_of_present
from boneage_roi.regional_models.networks.options import Value, chosen_options
from boneage_roi.values import AgeGrid

OPTIONS: dict[str, Value] = {"blocks": 6, "width": 32, "hidden": 2048, "dropout": 0.5, "heads": "both"}

GROWTH = (1, 2, 4, 4, 8, 12, 12)
"""Channels of each block, in multiples of the first's."""


def _block(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before in (inputs, outputs):
        layers += [nn.Conv2d(before, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ELU()]
    return nn.Sequential(*layers, nn.MaxPool2d(2, ceil_mode=True))


class TwoHeads(RegionNetwork):
    """Blocks of two 3 x 3 convolutions with batch norm and ELU, two dense layers for each head.

    Args:
        heads: ``both``, or ``regression`` or ``classes`` alone.
    """

    def __init__(
        self,
        size: tuple[int, int],
        grid: AgeGrid,
        *,
        blocks: int,
        width: int,
        hidden: int,
        dropout: float,
        sex: bool,
        heads: str,
    ) -> None:
        super().__init__()
        channels = [1, *(width * factor for factor in GROWTH[:blocks])]
        self.blocks = nn.ModuleList(_block(before, after) for before, after in itertools.pairwise(channels))
        flat = channels[-1]
        for side in size:
            flat *= -(-side // 2 ** len(self.blocks))
        self.features_length = hidden
        self.dense = nn.Sequential(
            nn.Linear(flat, hidden), nn.ELU(), nn.Dropout(dropout), nn.Linear(hidden, hidden), nn.ELU()
        )
        self.dropout = nn.Dropout(dropout)
        self.sex = SexBranch(heeds=sex)
        self.number = AgeRegression(hidden + self.sex.units, grid) if heads != "classes" else None
        self.classes = nn.Linear(hidden + self.sex.units, grid.bins) if heads != "regression" else None

    def heads(self, crops: Tensor, present: Tensor, sex: Tensor) -> tuple[list[tuple[str, Tensor]], Tensor]:
        """Each head's loss and logits (N, bins), and features (N, hidden)."""
        maps = crops.flatten(0, 1)
        for block in self.blocks:
            maps = block(maps)
        vectors = self.dense(maps.flatten(1)).reshape(*crops.shape[:2], -1)
        features = mean_of_present(vectors, present)
        known = self.sex(self.dropout(features), sex)
        both = (("mae", self.number), ("cross-entropy", self.classes))
        return [(loss, head(known)) for loss, head in both if head is not None], features

    def outputs(self, crops: Tensor, present: Tensor, places: Tensor, sex: Tensor) -> Outputs:
        first, *others = self.heads(crops, present, sex)[0]
        return Outputs(first[1], others=others)

    def forward(self, crops: Tensor, present: Tensor, places: Tensor, sex: Tensor) -> tuple[Tensor, Tensor]:
        said, features = self.heads(crops, present, sex)
        return torch.stack([logits.softmax(-1) for _, logits in said]).mean(0), features

    def stages(self) -> list[nn.Module]:
        return list(self.blocks)


def build(config: RegionConfig, grid: AgeGrid) -> RegionNetwork:
    """Two heads of a region's settings; options ``blocks``, ``width``, ``hidden``, ``dropout`` and ``heads``."""
    chosen = chosen_options(config, OPTIONS, heads=("both", "regression", "classes"))
    return TwoHeads(
        config.size,
        grid,
        blocks=int(chosen["blocks"]),
        width=int(chosen["width"]),
        hidden=int(chosen["hidden"]),
        dropout=float(chosen["dropout"]),
        sex=config.sex,
        heads=str(chosen["heads"]),
    )
