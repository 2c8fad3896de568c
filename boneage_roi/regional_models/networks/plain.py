"""A plain CNN: convolutions with pooling, dense layers with dropout, one number.

As students of the National Cheng Kung University put it on their page: four convolutions, three dense layers,
squared error.
"""

import itertools

from torch import Tensor, nn

from boneage_roi.configs.schema import RegionConfig
from boneage_roi.regional_models.networks.contract import Outputs, RegionNetwork
from boneage_roi.regional_models.networks.heads import SexBranch, age_head, mean_of_present
from boneage_roi.regional_models.networks.options import Value, chosen_options
from boneage_roi.values import AgeGrid

OPTIONS: dict[str, Value] = {"width": 32, "hidden": 128, "dropout": 0.5, "output": "regression"}


class PlainCNN(RegionNetwork):
    """Four 3 x 3 convolutions, each with a pooling that halves the maps, and three dense layers."""

    def __init__(
        self, size: tuple[int, int], grid: AgeGrid, *, width: int, hidden: int, dropout: float, sex: bool, output: str
    ) -> None:
        super().__init__()
        channels = (1, width, 2 * width, 4 * width, 4 * width)
        self.convolutions = nn.ModuleList(
            nn.Sequential(nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
            for before, after in itertools.pairwise(channels)
        )
        flat = channels[-1] * (size[0] // 16) * (size[1] // 16)
        self.features_length = hidden
        self.sex = SexBranch(heeds=sex)
        self.first = nn.Sequential(nn.Linear(flat, 2 * hidden), nn.ReLU(), nn.Dropout(dropout))
        self.second = nn.Sequential(nn.Linear(2 * hidden + self.sex.units, hidden), nn.ReLU())
        self.dropout = nn.Dropout(dropout)
        self.age = age_head(hidden, grid, output)

    def heads(self, crops: Tensor, present: Tensor, sex: Tensor) -> tuple[Tensor, Tensor]:
        """Age logits (N, bins) and features (N, hidden)."""
        maps = crops.flatten(0, 1)
        for convolution in self.convolutions:
            maps = convolution(maps)
        vectors = self.first(maps.flatten(1)).reshape(*crops.shape[:2], -1)
        features = self.second(self.sex(mean_of_present(vectors, present), sex))
        return self.age(self.dropout(features)), features

    def outputs(self, crops: Tensor, present: Tensor, places: Tensor, sex: Tensor) -> Outputs:
        return Outputs(self.heads(crops, present, sex)[0])

    def forward(self, crops: Tensor, present: Tensor, places: Tensor, sex: Tensor) -> tuple[Tensor, Tensor]:
        logits, features = self.heads(crops, present, sex)
        return logits.softmax(-1), features

    def stages(self) -> list[nn.Module]:
        return list(self.convolutions)


def build(config: RegionConfig, grid: AgeGrid) -> RegionNetwork:
    """A plain CNN of a region's settings; options ``width``, ``hidden``, ``dropout`` and ``output``."""
    chosen = chosen_options(config, OPTIONS, output=("classes", "regression"))
    return PlainCNN(
        config.size,
        grid,
        width=int(chosen["width"]),
        hidden=int(chosen["hidden"]),
        dropout=float(chosen["dropout"]),
        sex=config.sex,
        output=str(chosen["output"]),
    )
