"""The settings of a training run; unknown or ill-typed keys are refused."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from boneage_roi.errors import InputError
from boneage_roi.regions import detected, find_region
from boneage_roi.values import AgeGrid

PRESETS = Path(__file__).parent
"""A preset is a YAML file here, or in the folder of the literature's methods below."""

FULL = "full"
"""The size that a preset has when none is asked for."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
RegionName = Annotated[str, AfterValidator(lambda name: find_region(name).name)]
Rate = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]


class SplitConfig(_Strict):
    """Shares of the hands that go to each split; the rest is ``train``."""

    fusion: Fraction = 0.14
    test: Fraction = 0.11


class SegmenterConfig(_Strict):
    """U-Net hand mask and landmarks; ``landmark_weight`` is that of their loss beside the mask's."""

    size: Count = 256
    epochs: Count = 16
    self_training_epochs: Count = 3
    self_training_hands: Count = 900
    batch: Count = 16
    learning_rate: Rate = 2e-3
    landmark_weight: Weight = 0.1


class DetectorConfig(_Strict):
    """YOLO region detector; frames are upright and filled by the hand, so that mild changes do.

    Attributes:
        degrees, translate, scale, brightness: the largest turn, shift, change of size and of brightness in training;
            shares but for the first.
    """

    size: Count = 256
    epochs: Count = 18
    batch: Count = 8
    learning_rate: Rate = 0.0015
    warm_up_epochs: Weight = 1.0
    degrees: Annotated[float, Field(ge=0, le=180)] = 10.0
    translate: Fraction = 0.08
    scale: Fraction = 0.25
    brightness: Fraction = 0.4


class AspectConfig(_Strict):
    """The network that measures the aspect.

    Attributes:
        size: side of the square view that it sees.
        hands: the most that it learns from.
        views: how often each of them is squashed.
    """

    size: Count = 144
    hands: Count = 8000
    views: Count = 1
    epochs: Count = 8
    batch: Count = 32
    learning_rate: Rate = 1e-3


class AttentionConfig(_Strict):
    """The network of the finder ``attention``: a whole-hand classifier whose class activation maps give the boxes.

    Attributes:
        size: (height, width) of the hand that it sees, pixels.
        backbone, weights: as those of a region; only built-in backbones.
        width: months of one of its age classes.
        erased: share of the hands that it sees with their most telling place hidden, so that it learns another one.
    """

    size: tuple[Count, Count] = (224, 184)
    backbone: str = "efficientnet-lite0"
    weights: str = "imagenet"
    width: Rate = 12.0
    epochs: Count = 6
    batch: Count = 32
    learning_rate: Rate = 1e-3
    erased: Fraction = 0.3


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
        rare_ages: how far hands of rare ages are shown more often, each time changed anew: 0 not at all, 1 as often as
            those of the median year of age, five times at the most.
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
    rare_ages: Fraction = 0.0


class RegionConfig(_Strict):
    """One region's CNN. Sizes are (height, width) pixels of one crop.

    Attributes:
        network: the family, a name in :data:`boneage_roi.regional_models.networks.NETWORKS`.
        options: what a family asks for beside the settings here.
        backbone: a built-in one (``efficientnet-lite0``), or ``timm/NAME`` for any of timm's.
        weights: what it starts from: ``imagenet``, ``none``, a file, or ``imagenet-or-none``, which starts from nothing
            where ImageNet weights cannot be had; the stage's metrics say which it was.
        loss: a name in :data:`boneage_roi.learning.losses.LOSSES`.
        weigh_classes: whether hands of frequent ages (and sexes, where the sex is learnt) count less in the loss, so
            that every class of the grid counts alike.
        optimizer: ``adamw``, ``adam`` or ``sgd``.
        schedule: ``one-cycle`` of learning rates, or a ``constant`` one.
        label_sigma: width of the Gaussian label, months.
    """

    size: tuple[Count, Count]
    margin: Annotated[float, Field(ge=0)] = 0.1
    network: str = "region-net"
    options: dict[str, bool | int | float | str] = {}
    backbone: str = "efficientnet-lite0"
    weights: str = "imagenet"
    loss: str = "distribution"
    stages: Annotated[int, Field(ge=3, le=7)] = 5
    attention: bool = True
    sex: bool = True
    rounds: Annotated[tuple[RoundConfig, ...], Field(min_length=1)] = (RoundConfig(epochs=8),)
    batch: Count = 32
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    schedule: Literal["one-cycle", "constant"] = "one-cycle"
    weigh_classes: bool = False
    label_sigma: Rate = 10.0
    distribution_weight: Annotated[float, Field(ge=0)] = 1.0
    l1_weight: Annotated[float, Field(ge=0)] = 0.1
    sex_loss_weight: Annotated[float, Field(ge=0)] = 0.0


class LayerConfig(_Strict):
    """The feature-connected layer of a fusion.

    Attributes:
        label_sigma: width of the Gaussian label, months.
        l1_weight: of the expected age's error, beside the label distribution's.
        region_dropout: how often a region is withheld.
        balance: weight of the bias term: more makes the bias smaller and the single error larger.
        bias_memory: over so many hands of a sex and age band the bias is followed.
    """

    hidden: Count = 64
    dropout: Fraction = 0.3
    batch: Count = 64
    learning_rate: Rate = 1e-3
    weight_decay: Weight = 0.1
    label_sigma: Rate = 8.0
    l1_weight: Weight = 0.1
    region_dropout: Fraction = 0.1
    balance: Weight = 0.05
    bias_memory: Count = 200


class TreesConfig(_Strict):
    """The boosted trees of a fusion, small and slow: they may only correct what is there.

    Attributes:
        counterweight: how often they are shown the mean error of a hand's sex and age band beside the hand's own.
        few: of so many hands the mean error of a sex and age band counts for half.
        most: the most trees; how many there are is cross-validated.
    """

    counterweight: Weight = 1.0
    few: Count = 30
    most: Annotated[int, Field(ge=10)] = 400
    learning_rate: Rate = 0.02
    leaves: Annotated[int, Field(ge=2)] = 6
    leaf_hands: Count = 30
    l2: Weight = 10.0


class RegressorsConfig(_Strict):
    """The regressors on the regions' joined features.

    Attributes:
        ridge: strength of the ridge regression, a hand.
        svr: cost of an error beyond ``tolerance``, in support vector regression.
        tolerance: months.
        trees: how many a random forest has.
        boosted: how many gradient-boosted trees there are.
        leaf_hands: the fewest hands in a leaf of either.
    """

    ridge: Rate = 1.0
    svr: Rate = 100.0
    tolerance: Weight = 2.0
    trees: Count = 200
    boosted: Count = 300
    leaf_hands: Count = 5


class FusionConfig(_Strict):
    """How the regions' readings become one age, and the intervals around it.

    Attributes:
        kind: a name in :data:`boneage_roi.fusion.kinds.FUSIONS`.
        epochs: of the feature-connected layer.
        ridge: strength of the ridge regression.
        balance: how much more hands of rare sexes and age bands weigh in it: 0 not at all, 1 makes the bands alike.
        coverage: share of new hands whose true age is to lie in the interval.
    """

    kind: str = "rb-fcl+trees"
    folds: Annotated[int, Field(ge=2)] = 5
    epochs: Count = 40
    coverage: Annotated[float, Field(gt=0, lt=1)] = 0.9
    layer: LayerConfig = LayerConfig()
    trees: TreesConfig = TreesConfig()
    regressors: RegressorsConfig = RegressorsConfig()
    ridge: Rate = 10.0
    balance: Fraction = 0.0


class GridConfig(_Strict):
    """The ages of every distribution: ``bins`` of them, ``width`` months apart, from 0 on."""

    bins: Annotated[int, Field(ge=2, le=4096)] = 240
    width: Annotated[float, Field(gt=0, le=120)] = 1.0


class ViewConfig(_Strict):
    """One look at a hand in test-time augmentation: mirrored, magnified, turned."""

    mirrored: bool = False
    scale: Annotated[float, Field(gt=0.1, lt=10)] = 1.0
    degrees: Annotated[float, Field(ge=-180, le=180)] = 0.0


SIX_VIEWS = tuple(
    ViewConfig(mirrored=mirrored, scale=scale, degrees=degrees)
    for scale, degrees in ((1.0, 0.0), (0.95, 5.0), (1.05, -5.0))
    for mirrored in (False, True)
)


class TrainConfig(_Strict):
    """Everything of one run; ``training_data`` and ``license_note`` go into the bundle's card.

    ``sharper_images`` names a folder beside the data set's table with images of some hands at a higher resolution:
    those of ``train`` hands train the region networks beside the others. ``start`` names a bundle to go on from, by its
    folder or as ``default``: its segmenter and detector are taken over and, unless ``start_regions`` is off, its region
    networks trained further. Without ``aspect`` the bundle has no network that measures the aspect, and believes every
    image. ``steps`` are done to every hand frame, in order. ``finder`` is how regions come about, a name in
    :data:`boneage_roi.detection.finders.FINDERS`; None takes ``detector``, or ``whole-hand`` where only the whole
    frame is read. ``attention`` is the network of the finder of this name.
    """

    name: str = "default"
    training_data: str = "Not described."
    license_note: str = "No licence note."
    seed: int = 0
    start: str | None = None
    start_regions: bool = True
    sharper_images: str | None = None
    frame_size: tuple[Count, Count] = (512, 416)
    steps: tuple[str, ...] = ()
    finder: str | None = None
    age_grid: GridConfig = GridConfig()
    views: Annotated[tuple[ViewConfig, ...], Field(min_length=1)] = SIX_VIEWS
    split: SplitConfig = SplitConfig()
    segmenter: SegmenterConfig = SegmenterConfig()
    detector: DetectorConfig = DetectorConfig()
    attention: AttentionConfig = AttentionConfig()
    aspect: AspectConfig | None = None
    regions: Annotated[dict[RegionName, RegionConfig], Field(min_length=1)]
    fusion: FusionConfig = FusionConfig()

    @property
    def grid(self) -> AgeGrid:
        """The ages of every distribution."""
        return AgeGrid(self.age_grid.bins, self.age_grid.width)

    @property
    def finder_kind(self) -> str:
        """How regions come about."""
        return self.finder or ("detector" if detected(self.regions) else "whole-hand")

    @classmethod
    def load(cls, preset_or_path: str | Path, size: str | None = None) -> Self:
        """Read a preset by name or a YAML file by path.

        Args:
            size: ``full``, or one of the names below ``sizes`` in the file, whose settings are laid over the others;
                None is ``full``.

        Raises:
            InputError: no such preset, file or size, or a setting is unknown or out of range.

        >>> TrainConfig.load("tj-net", "small").name
        'tj-net-small'
        """
        path = Path(preset_or_path)
        if not path.suffix:
            path = preset_files().get(str(preset_or_path), path)
        if not path.is_file():
            raise InputError(f"{preset_or_path}: no such preset or YAML file; presets are {', '.join(preset_files())}")
        try:
            return cls.model_validate(_of_size(yaml.safe_load(path.read_text(encoding="utf-8")), size, path))
        except yaml.YAMLError as error:
            raise InputError(f"{path}: not valid YAML ({str(error).splitlines()[0]})") from None
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "settings"
            raise InputError(f"{path}: {where}: {first['msg'].removeprefix('Value error, ')}") from None
        except (OSError, UnicodeDecodeError, RecursionError):
            raise InputError(f"{path}: not a readable YAML file") from None


def preset_files() -> dict[str, Path]:
    """Every preset's file by its name, in alphabetical order."""
    return {path.stem: path for path in sorted(PRESETS.rglob("*.yaml"), key=lambda path: path.stem)}


def _of_size(content: Any, size: str | None, path: Path) -> Any:
    """The settings of a file in one of its sizes."""
    if not isinstance(content, dict):
        return content
    sizes = content.pop("sizes", None) or {}
    if not isinstance(sizes, dict) or not all(isinstance(changes, dict) for changes in sizes.values()):
        raise InputError(f"{path}: sizes: a name and settings for each are needed")
    if size in (None, FULL):
        return content
    if size not in sizes:
        raise InputError(f"{path}: has no size {size!r}; its sizes are {', '.join((FULL, *map(str, sizes)))}")
    return {**_laid_over(content, sizes[size]), "name": f"{content.get('name', path.stem)}-{size}"}


def _laid_over(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with some changed, those within others too."""
    both = {
        key: _laid_over(base[key], value) if isinstance(value, dict) and isinstance(base.get(key), dict) else value
        for key, value in changes.items()
    }
    return {**base, **both}
