"""What each stage of a training is made of: the settings it follows and the inputs it learns from."""

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from boneage_roi.configs.finders import find_finder
from boneage_roi.configs.schema import TrainConfig
from boneage_roi.errors import InputError
from boneage_roi.regions import detected, find_region
from boneage_roi.runs.layout import (
    ASPECT,
    BOXES,
    DETECTOR,
    FRAMES,
    FUSION,
    QUALITY,
    READINGS,
    REGIONS,
    SEGMENTER,
    readings_stage,
    region_stage,
)

HANDS, IMAGES, ANNOTATIONS, START = "hands", "images", "annotations", "start"
"""Inputs that are no stage: the table of hands, their images, their annotations, the bundle to go on from."""


@dataclass(frozen=True)
class Recipe:
    """What a stage is made of.

    Attributes:
        settings: those of the run's settings that it follows, nested as in the YAML file.
        inputs: ``hands``, ``images``, ``annotations``, ``start``, or the names of stages.
    """

    settings: dict[str, Any]
    inputs: tuple[str, ...]


def recipe(config: TrainConfig, stage: str) -> Recipe:
    """The recipe of a stage under a run's settings."""
    every = config.model_dump(mode="json")
    kind, name = stage.partition("/")[0], stage.rpartition("/")[2]

    def chosen(*names: str) -> dict[str, Any]:
        return {key: every[key] for key in names}

    if kind == SEGMENTER:
        learnt = (START,) if config.start else (HANDS, IMAGES, ANNOTATIONS)
        return Recipe(chosen("seed", "start", "segmenter"), learnt)
    if kind == FRAMES:
        return Recipe(chosen("seed", "frame_size", "steps"), (HANDS, IMAGES, SEGMENTER))
    if kind == DETECTOR:
        way = find_finder(config.finder_kind)
        annotations = (ANNOTATIONS,) if way.annotated else ()
        learnt = (START,) if config.start and way.annotated else (HANDS, *annotations, FRAMES)
        found = {"regions": list(detected(config.regions))}
        return Recipe(chosen("seed", "start", "frame_size", way.settings) | found, learnt)
    if kind == BOXES:
        boxes: dict[str, Any] = {"finder": config.finder_kind, "regions": list(detected(config.regions))}
        return Recipe(boxes, (FRAMES, DETECTOR) if finder_is_trained(config) else (FRAMES,))
    if kind == REGIONS:
        settings = chosen("seed", "start", "age_grid") | {"regions": {name: every["regions"].get(name)}}
        return Recipe(settings, (HANDS, *_seen(name), *((START,) if config.start else ())))
    if kind == READINGS:
        return Recipe(chosen("views"), (HANDS, *_seen(name), region_stage(name)))
    if kind == FUSION:
        readings = tuple(readings_stage(region) for region in config.regions)
        return Recipe(chosen("seed", "fusion", "age_grid") | {"regions": list(config.regions)}, (HANDS, *readings))
    if kind == QUALITY:
        finder = (DETECTOR,) if finder_is_trained(config) else ()
        settings = chosen("seed", "frame_size", "steps") | {"finder": config.finder_kind}
        return Recipe(settings, (HANDS, IMAGES, SEGMENTER, *finder, FUSION))
    if kind == ASPECT:
        learnt = (START,) if config.start else (HANDS, IMAGES, SEGMENTER)
        return Recipe(chosen("seed", "start", "frame_size", "aspect"), learnt)
    raise ValueError(f"no stage {stage!r}")


def completed(settings: dict[str, Any]) -> dict[str, Any]:
    """A recorded recipe's settings, with the defaults of those that there were not when it was recorded."""
    regions = settings.get("regions")
    given = {key: value for key, value in settings.items() if key in TrainConfig.model_fields and key != "regions"}
    own = {"regions": regions} if isinstance(regions, dict) else {}
    try:
        every = TrainConfig.model_validate({"regions": {"hand": {"size": [1, 1]}}, **given, **own})
    except ValidationError:
        return settings  # of a version with other settings
    full = every.model_dump(mode="json")
    return settings | {key: full[key] for key in (*given, *own)}


def check_stage(config: TrainConfig, stage: str) -> None:
    """Do nothing when a run's settings have a stage.

    Raises:
        InputError: it reads no such region, or trains nothing that finds regions.
    """
    kind, name = stage.partition("/")[0], stage.rpartition("/")[2]
    if kind == REGIONS and name not in config.regions:
        raise InputError(f"this run reads no {name}; its regions are {', '.join(config.regions)}")
    if kind == DETECTOR and not finder_is_trained(config):
        raise InputError(f"this run finds regions by {config.finder_kind}, which needs no training")


def trained_before(config: TrainConfig, stage: str) -> tuple[str, ...]:
    """The stages that a user must have trained before another can be; what is made in between is made by itself."""
    kind, name = stage.partition("/")[0], stage.rpartition("/")[2]
    if kind == REGIONS:
        return (SEGMENTER, DETECTOR) if BOXES in _seen(name) and finder_is_trained(config) else (SEGMENTER,)
    regions = tuple(region_stage(region) for region in config.regions)
    return {ASPECT: (SEGMENTER,), DETECTOR: (SEGMENTER,), FUSION: regions, QUALITY: (*regions, FUSION)}.get(kind, ())


def trained_stages(config: TrainConfig) -> tuple[str, ...]:
    """Every stage that a bundle is made of, in the order in which they are trained."""
    aspect = () if config.aspect is None else (ASPECT,)
    finder = (DETECTOR,) if finder_is_trained(config) else ()
    return (SEGMENTER, *aspect, *finder, *(region_stage(region) for region in config.regions), FUSION, QUALITY)


def finder_is_trained(config: TrainConfig) -> bool:
    """Whether the run's way to find regions has a stage of its own."""
    return bool(find_finder(config.finder_kind).trains)


def command(stage: str) -> str:
    """The command that trains a stage; what is made without a training is made by that of the next stage."""
    kind, name = stage.partition("/")[0], stage.rpartition("/")[2]
    made_by = {FRAMES: DETECTOR, BOXES: DETECTOR, READINGS: FUSION}
    return f"train-region {name}" if kind == REGIONS else f"train-{made_by.get(kind, kind)}"


def title(stage: str) -> str:
    """A stage in words: "the detector", "the network of carpal"."""
    kind, name = stage.partition("/")[0], stage.rpartition("/")[2]
    if kind in (FRAMES, BOXES):
        return f"the {kind}"
    if kind in (QUALITY, ASPECT):
        return {QUALITY: "the quality gate", ASPECT: "the aspect network"}[kind]
    return {REGIONS: f"the network of {name}", READINGS: f"the readings of {name}"}.get(kind, f"the {kind}")


def _seen(region: str) -> tuple[str, ...]:
    """What a region's crops are cut from."""
    return (FRAMES,) if find_region(region).whole else (FRAMES, BOXES)


def finder_size(config: TrainConfig) -> int:
    """The longer side in pixels of what the network of the run's finder sees."""
    size = getattr(config, find_finder(config.finder_kind).settings).size
    return size if isinstance(size, int) else max(size)
