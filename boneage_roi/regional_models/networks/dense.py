"""A backbone with a dense layer behind it: what most published systems put behind an ImageNet network.

The features that a fusion gets are those of the dense layer (1,024 a region in RB-FCL, Wibisono & Mursanto, J Big Data
2020;7:67) or, without one, the backbone's own (off-the-shelf features, Spampinato et al., Med Image Anal
2017;36:41-51).
"""

from torch import Tensor, nn

from boneage_roi.configs.schema import RegionConfig
from boneage_roi.regional_models.networks.cbam import CBAM
from boneage_roi.regional_models.networks.contract import Outputs, RegionNetwork
from boneage_roi.regional_models.networks.heads import SexBranch, age_head, mean_of_present
from boneage_roi.regional_models.networks.options import Value, chosen_options
from boneage_roi.regional_models.networks.region_net import Backbone, TimmBackbone, build_backbone
from boneage_roi.values import AgeGrid

OPTIONS: dict[str, Value] = {"features": 0, "dropout": 0.2, "output": "classes"}


class DenseNet(RegionNetwork):
    """Crops to vectors, their mean, a dense layer, the sex, an age.

    Args:
        features: width of the dense layer; 0 leaves it out.
        attention: CBAM on the last feature maps; the built-in backbones bring their own.
        output: ``classes`` of the grid, or ``regression`` of one number.
    """

    def __init__(
        self,
        backbone: Backbone | TimmBackbone,
        grid: AgeGrid,
        *,
        features: int,
        dropout: float,
        sex: bool,
        attention: bool,
        output: str,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.started_from = backbone.started_from
        width = backbone.channels
        self.attention = CBAM(int(backbone.map_channels)) if isinstance(backbone, TimmBackbone) and attention else None
        self.features_length = features or width
        self.dense = nn.Sequential(nn.Linear(width, features), nn.ReLU()) if features else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.sex = SexBranch(heeds=sex)
        self.age = age_head(self.features_length + self.sex.units, grid, output)

    def vectors(self, images: Tensor) -> Tensor:
        """(M, ``channels``) of images (M, 1, h, w)."""
        if isinstance(self.backbone, Backbone):
            means: Tensor = self.backbone(images).mean((2, 3))
            return means
        if self.attention is None:
            plain: Tensor = self.backbone(images)
            return plain
        return self.backbone.pooled(self.attention(self.backbone.maps(images)))

    def heads(self, crops: Tensor, present: Tensor, sex: Tensor) -> tuple[Tensor, Tensor]:
        """Age logits (N, bins) and features (N, D)."""
        vectors = self.vectors(crops.flatten(0, 1)).reshape(*crops.shape[:2], -1)
        features = self.dense(mean_of_present(vectors, present))
        return self.age(self.sex(self.dropout(features), sex)), features

    def outputs(self, crops: Tensor, present: Tensor, places: Tensor, sex: Tensor) -> Outputs:
        return Outputs(self.heads(crops, present, sex)[0])

    def forward(self, crops: Tensor, present: Tensor, places: Tensor, sex: Tensor) -> tuple[Tensor, Tensor]:
        logits, features = self.heads(crops, present, sex)
        return logits.softmax(-1), features

    def stages(self) -> list[nn.Module]:
        if isinstance(self.backbone, TimmBackbone):
            return self.backbone.parts()
        first, *others = self.backbone.blocks.children()
        return [nn.ModuleList([self.backbone.stem, first]), *others]


def build(config: RegionConfig, grid: AgeGrid) -> RegionNetwork:
    """A network of a region's settings; options ``features``, ``dropout`` and ``output``."""
    chosen = chosen_options(config, OPTIONS, output=("classes", "regression"))
    return DenseNet(
        build_backbone(config),
        grid,
        features=int(chosen["features"]),
        dropout=float(chosen["dropout"]),
        sex=config.sex,
        attention=config.attention,
        output=str(chosen["output"]),
    )
