"""The settings of a training run; unknown or ill-typed keys are refused."""

from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from boneage_roi.errors import InputError
from boneage_roi.regions import find_region

PRESETS = Path(__file__).parent


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
RegionName = Annotated[str, AfterValidator(lambda name: find_region(name).name)]
Rate = Annotated[float, Field(gt=0)]


class SplitConfig(_Strict):
    """Shares of the hands that go to each split; the rest is ``train``."""

    fusion: Fraction = 0.14
    test: Fraction = 0.11


class SegmenterConfig(_Strict):
    """U-Net hand mask and landmarks."""

    size: Count = 256
    epochs: Count = 16
    self_training_epochs: Count = 3
    self_training_hands: Count = 900
    batch: Count = 16
    learning_rate: Rate = 2e-3


class DetectorConfig(_Strict):
    """YOLO region detector."""

    size: Count = 256
    epochs: Count = 18
    batch: Count = 8


class AspectConfig(_Strict):
    """The network that measures the aspect.

    Attributes:
        size: side of the square view that it sees.
        hands: the most that it learns from.
    """

    size: Count = 112
    hands: Count = 4000
    epochs: Count = 5
    batch: Count = 32
    learning_rate: Rate = 1e-3


class RoundConfig(_Strict):
    """One cycle of learning rates of a region's CNN; the next round goes on with its weights.

    Attributes:
        size: (height, width) of the crops in this round, pixels; None is the region's own. Smaller ones train faster.
        augmentation: strength of the random changes, 0 is none.
        bad_exports: share of the hands that come coarse, noisy or as a bad JPEG.
        frozen_stages: how many of the backbone's stages are no longer trained, and its stem with the first of them.
        warm_up: share of the steps in which the learning rate rises.
        keep: how much of the weights before the round is averaged into those after it (Wortsman et al., CVPR 2022).
        single_crops: weight of the loss that asks for the age of each crop alone, beside that of all crops together.
        aspect: standard deviation of the logarithm by which hands are made too wide or too high.
    """

    epochs: Count
    size: tuple[Count, Count] | None = None
    augmentation: Fraction = 1.0
    bad_exports: Fraction = 0.3
    frozen_stages: Annotated[int, Field(ge=0)] = 0
    learning_rate: Rate = 1e-3
    warm_up: Annotated[float, Field(gt=0, lt=1)] = 0.3
    keep: Fraction = 0.0
    single_crops: Annotated[float, Field(ge=0)] = 0.0
    aspect: Fraction = 0.0


class RegionConfig(_Strict):
    """One region's CNN. Sizes are (height, width) pixels of one crop."""

    size: tuple[Count, Count]
    margin: Annotated[float, Field(ge=0)] = 0.1
    stages: Annotated[int, Field(ge=3, le=7)] = 5
    pretrained: bool = True
    attention: bool = True
    sex: bool = True
    rounds: Annotated[tuple[RoundConfig, ...], Field(min_length=1)] = (RoundConfig(epochs=8),)
    batch: Count = 32
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    label_sigma: Rate = 10.0
    distribution_weight: Annotated[float, Field(ge=0)] = 1.0
    l1_weight: Annotated[float, Field(ge=0)] = 0.1
    sex_loss_weight: Annotated[float, Field(ge=0)] = 0.0


class FusionConfig(_Strict):
    """Feature-connected layer, boosted residual, intervals."""

    folds: Annotated[int, Field(ge=2)] = 5
    epochs: Count = 40
    coverage: Annotated[float, Field(gt=0, lt=1)] = 0.9


class TrainConfig(_Strict):
    """Everything of one run; ``training_data`` and ``license_note`` go into the bundle's card.

    ``sharper_images`` names a folder beside the data set's table with images of some hands at a higher resolution:
    those of ``train`` hands train the region networks beside the others. ``start`` names a bundle to go on from, by its
    folder or as ``default``: its segmenter and detector are taken over and its region networks trained further.
    Without ``aspect`` the bundle has no network that measures the aspect, and believes every image.
    """

    name: str = "default"
    training_data: str = "Not described."
    license_note: str = "No licence note."
    seed: int = 0
    start: str | None = None
    sharper_images: str | None = None
    frame_size: tuple[Count, Count] = (512, 416)
    split: SplitConfig = SplitConfig()
    segmenter: SegmenterConfig = SegmenterConfig()
    detector: DetectorConfig = DetectorConfig()
    aspect: AspectConfig | None = None
    regions: Annotated[dict[RegionName, RegionConfig], Field(min_length=1)]
    fusion: FusionConfig = FusionConfig()

    @classmethod
    def load(cls, preset_or_path: str | Path) -> Self:
        """Read a preset by name or a YAML file by path.

        Raises:
            InputError: no such preset or file, or a setting is unknown or out of range.
        """
        path = Path(preset_or_path)
        if not path.suffix:
            path = PRESETS / f"{preset_or_path}.yaml"
        if not path.is_file():
            names = ", ".join(sorted(p.stem for p in PRESETS.glob("*.yaml")))
            raise InputError(f"{preset_or_path}: no such preset or YAML file; presets are {names}")
        try:
            return cls.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        except yaml.YAMLError as error:
            raise InputError(f"{path}: not valid YAML ({str(error).splitlines()[0]})") from None
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise InputError(f"{path}: {where}: {first['msg']}") from None
