"""Several networks of one family that learn side by side, each from its own start; what they say is averaged.

Deeplasia averages three networks with the sex beside the image (Rassmann et al., Pediatr Radiol 2024;54:82-95).
"""

import torch
from torch import Tensor, nn

from boneage_roi.configs.schema import RegionConfig
from boneage_roi.errors import InputError
from boneage_roi.regional_models.networks.contract import Outputs, RegionNetwork
from boneage_roi.values import AgeGrid


class Ensemble(RegionNetwork):
    """Each member has a loss of its own, so that none heeds the others; forward gives their mean distribution."""

    def __init__(self, members: list[RegionNetwork]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.features_length = sum(member.features_length for member in members)
        self.started_from = ", ".join(sorted({member.started_from for member in members}))

    @property
    def each(self) -> list[RegionNetwork]:
        """The members."""
        return [member for member in self.members if isinstance(member, RegionNetwork)]

    def outputs(self, crops: Tensor, present: Tensor, places: Tensor, sex: Tensor) -> Outputs:
        first, *rest = (member.outputs(crops, present, places, sex) for member in self.each)
        return Outputs(first.logits, first.sex, [*first.others, *(("", other.logits) for other in rest)])

    def forward(self, crops: Tensor, present: Tensor, places: Tensor, sex: Tensor) -> tuple[Tensor, Tensor]:
        said = [member(crops, present, places, sex) for member in self.each]
        return torch.stack([one[0] for one in said]).mean(0), torch.cat([one[1] for one in said], dim=-1)

    def stages(self) -> list[nn.Module]:
        together = zip(*(member.stages() for member in self.each), strict=False)
        return [nn.ModuleList(parts) for parts in together]


def build(config: RegionConfig, grid: AgeGrid) -> RegionNetwork:
    """Members of a family; options ``of`` (the family), ``backbones`` (of the members, with blanks between), its own.

    Without ``backbones`` there are three members with the settings' backbone.
    """
    from boneage_roi.regional_models.networks import NETWORKS

    options = dict(config.options)
    family, names = str(options.pop("of", "dense")), str(options.pop("backbones", "")).split()
    if family not in NETWORKS or family == config.network:
        known = ", ".join(name for name in NETWORKS if name != config.network)
        raise InputError(f"the network {config.network}: of is {family!r}; known are {known}")
    each = {"network": family, "options": options}
    settings = [config.model_copy(update=each | {"backbone": name}) for name in names or [config.backbone] * 3]
    return Ensemble([NETWORKS[family](one, grid) for one in settings])
