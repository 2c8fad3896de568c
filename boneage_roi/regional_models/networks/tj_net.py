"""TJ-Net: age and sex learnt together by a network of its own, with attention (Tang, Wu & Shen, Advances in
Transdisciplinary Engineering 2020;12:221-230, doi:10.3233/ATDE200080).

Two convolution blocks, two inception-residual blocks and two inception blocks, CBAM behind the first three; the
means of the feature maps of several scales joined. From them a classifier of the sex and, with the sex that is
given, one of the age.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from boneage_roi.configs.schema import RegionConfig
from boneage_roi.regional_models.networks.cbam import CBAM
from boneage_roi.regional_models.networks.contract import Outputs, RegionNetwork
from boneage_roi.regional_models.networks.heads import SexBranch, mean_of_present
from boneage_roi.regional_models.networks.options import Value, chosen_options
from boneage_roi.values import AgeGrid

OPTIONS: dict[str, Value] = {"shortcuts": True, "width": 32, "dropout": 0.5}

SEX_UNITS, SEX_HIDDEN, AGE_HIDDEN = 64, 256, (512, 256)
"""Units that the given sex goes through, of the sex classifier, of the age classifier."""

Kernel = tuple[int, int]


class Convolution(nn.Sequential):
    """Convolution, batch norm, ReLU; keeps the size of the maps but for the stride."""

    def __init__(self, inputs: int, outputs: int, kernel: Kernel, stride: int = 1) -> None:
        padding = (kernel[0] // 2, kernel[1] // 2)
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


def _chain(inputs: int, outputs: int, kernels: Iterable[Kernel]) -> nn.Sequential:
    layers = []
    for kernel in kernels:
        layers.append(Convolution(inputs, outputs, kernel))
        inputs = outputs
    return nn.Sequential(*layers)


class Inception(nn.Module):
    """Branches side by side, their maps joined: (N, ``inputs``, h, w) to (N, ``outputs``, h, w).

    Args:
        branches: the kernels of each branch, one after the other.
    """

    def __init__(self, inputs: int, outputs: int, branches: Iterable[Iterable[Kernel]]) -> None:
        super().__init__()
        listed = [tuple(kernels) for kernels in branches]
        self.branches = nn.ModuleList(_chain(inputs, outputs // len(listed), kernels) for kernels in listed)

    def forward(self, maps: Tensor) -> Tensor:
        return torch.cat([branch(maps) for branch in self.branches], dim=1)


class InceptionResidual(nn.Module):
    """The same, mixed by a 1 x 1 convolution and, with ``shortcut``, added to what came in; then halved by pooling."""

    def __init__(self, inputs: int, outputs: int, branches: Iterable[Iterable[Kernel]], *, shortcut: bool) -> None:
        super().__init__()
        self.inception = Inception(inputs, outputs, branches)
        self.mix = nn.Sequential(nn.Conv2d(outputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
        self.shortcut = nn.Conv2d(inputs, outputs, 1, bias=False) if shortcut else None
        self.pool = nn.MaxPool2d(2, ceil_mode=True)

    def forward(self, maps: Tensor) -> Tensor:
        mixed = self.mix(self.inception(maps))
        if self.shortcut is not None:
            mixed = mixed + self.shortcut(maps)
        pooled: Tensor = self.pool(mixed.relu())
        return pooled


class TJNet(RegionNetwork):
    """Blocks 1 to 6 are :meth:`stages`; ``forward`` also gives the class activation map of the most probable class.

    Args:
        width: channels of the first block; the others have 2, 4, 8, 8 and 8 times as many.
        shortcuts, attention, sex_head: what the paper's ablations switch off.
    """

    map_name = "class_activation"
    features_length = AGE_HIDDEN[1]

    def __init__(
        self,
        grid: AgeGrid,
        *,
        width: int = 32,
        dropout: float = 0.5,
        shortcuts: bool = True,
        attention: bool = True,
        sex_head: bool = True,
        sex: bool = True,
    ) -> None:
        super().__init__()
        one, three = (1, 1), (3, 3)

        def attended(channels: int) -> nn.Module:
            return CBAM(channels) if attention else nn.Identity()

        w = width
        self.blocks = nn.ModuleList(
            [
                nn.Sequential(Convolution(1, w, three, 2), Convolution(w, w, three), attended(w), nn.MaxPool2d(2)),
                nn.Sequential(Convolution(w, 2 * w, three), attended(2 * w), nn.MaxPool2d(2)),
                nn.Sequential(
                    InceptionResidual(2 * w, 4 * w, [[one], [one, three]], shortcut=shortcuts), attended(4 * w)
                ),
                InceptionResidual(
                    4 * w, 8 * w, [[one], [one, three], [one, three, three], [three]], shortcut=shortcuts
                ),
                Inception(8 * w, 8 * w, [[one], [one, three], [one, (1, 3), (3, 1)], [one, (5, 5)]]),
                Inception(8 * w, 8 * w, [[one], [one, three], [one, (5, 5)], [one, (1, 7), (7, 1)]]),
            ]
        )
        self.scales = (3, 4, 5)
        """The blocks whose maps are joined; the last is what the class activation map is over."""
        self.last = 8 * w
        joined = 24 * w
        first, second = AGE_HIDDEN
        self.sex_units = SexBranch(SEX_UNITS, heeds=sex)
        self.sex_head = (
            nn.Sequential(nn.Linear(joined, SEX_HIDDEN), nn.ReLU(), nn.Dropout(dropout), nn.Linear(SEX_HIDDEN, 1))
            if sex_head
            else None
        )
        self.hidden = nn.ModuleList([nn.Linear(joined + self.sex_units.units, first), nn.Linear(first, second)])
        self.dropout = nn.Dropout(dropout)
        self.age = nn.Linear(second, grid.bins)

    def scan(self, crops: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """The joined means (N, D), and the last feature maps (N C, channels, h, w)."""
        maps, means = crops.flatten(0, 1), []
        for number, block in enumerate(self.blocks):
            maps = block(maps)
            if number in self.scales:
                means.append(maps.mean((2, 3)))
        vectors = torch.cat(means, dim=1).reshape(*crops.shape[:2], -1)
        return mean_of_present(vectors, present), maps

    def heads(self, joined: Tensor, sex: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Age logits (N, 77 in the paper) and what the two hidden layers say, after their ReLU."""
        told = self.sex_units(joined, sex)
        said = []
        for layer in self.hidden:
            told = self.dropout(layer(told).relu())
            said.append(told)
        return self.age(told), said

    def outputs(self, crops: Tensor, present: Tensor, places: Tensor, sex: Tensor) -> Outputs:
        joined, _ = self.scan(crops, present)
        guess = None if self.sex_head is None else self.sex_head(joined).squeeze(-1)
        return Outputs(self.heads(joined, sex)[0], guess)

    def forward(self, crops: Tensor, present: Tensor, places: Tensor, sex: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        joined, maps = self.scan(crops, present)
        logits, said = self.heads(joined, sex)
        return logits.softmax(-1), said[-1], self.activation(logits, said, maps, crops)

    def activation(self, logits: Tensor, said: list[Tensor], maps: Tensor, crops: Tensor) -> Tensor:
        """The class activation map (N, C, h, w) of each hand's most probable class, by gradient (Selvaraju et al.
        2017).

        Behind the mean there are layers with ReLU alone, so that the gradient is the product of their weights where
        they say something: no back-propagation is needed, and an exported network can do it.
        """
        slope = self.age.weight[logits.argmax(-1)]
        for layer, values in zip(reversed(list(self.hidden)), reversed(said), strict=True):
            assert isinstance(layer, nn.Linear)
            slope = (slope * (values > 0).float()) @ layer.weight
        start = slope.shape[1] - self.sex_units.units - self.last
        weights = slope[:, start : start + self.last]
        by_crop = maps.reshape(*crops.shape[:2], *maps.shape[1:])
        shown: Tensor = (by_crop * weights[:, None, :, None, None]).sum(2).relu()
        return shown

    def stages(self) -> list[nn.Module]:
        return list(self.blocks)

    def ready_for_export(self) -> "TJNet":
        self.sex_head = None
        return self


def build(config: RegionConfig, grid: AgeGrid) -> RegionNetwork:
    """TJ-Net of a region's settings; options ``shortcuts``, ``width`` and ``dropout``."""
    chosen = chosen_options(config, OPTIONS)
    return TJNet(
        grid,
        width=int(chosen["width"]),
        dropout=float(chosen["dropout"]),
        shortcuts=bool(chosen["shortcuts"]),
        attention=config.attention,
        sex_head=config.sex_loss_weight > 0,
        sex=config.sex,
    )
