"""Trainings on a small data set made of the examples, in seconds: no radiographs of patients are needed."""

from pathlib import Path
from typing import Any

from boneage_roi.configs.schema import TrainConfig
from boneage_roi.training.demo import make_demo
from tests.bundles import EXAMPLES

WHOLE_HAND = {
    "name": "one-region",
    "start": "default",
    "start_regions": False,
    "segmenter": {"size": 256},
    "frame_size": [512, 416],
    "views": [{}],
    "regions": {"hand": {"size": [40, 32], "margin": 0.0, "stages": 3, "weights": "none", "batch": 8}},
    "fusion": {"kind": "mean", "folds": 2, "epochs": 1},
}
"""The hand mask of the shipped bundle, and one network on the whole hand: nothing finds regions."""


def small_demo(folder: Path) -> Path:
    """Three copies of each example: ten hands in each split."""
    return make_demo(folder, EXAMPLES, copies=3)


def config(base: dict[str, Any], **changes: Any) -> TrainConfig:
    """Settings with one epoch a round."""
    settings = TrainConfig.model_validate({**base, **changes})
    regions = {
        name: region.model_copy(update={"rounds": tuple(r.model_copy(update={"epochs": 1}) for r in region.rounds)})
        for name, region in settings.regions.items()
    }
    return settings.model_copy(update={"regions": regions})
