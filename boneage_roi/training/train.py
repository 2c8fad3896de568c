"""A training from a data set to a bundle, in one call."""

from pathlib import Path
from typing import Any

from boneage_roi.configs.schema import TrainConfig
from boneage_roi.errors import InputError
from boneage_roi.learning.devices import ONE_DEVICE, Devices
from boneage_roi.progress import Progress
from boneage_roi.runs import layout
from boneage_roi.runs.reuse import reuse as take_over
from boneage_roi.runs.run import Run
from boneage_roi.training.enough import shortcomings
from boneage_roi.training.prepare import prepare

MANY = 0.5
"""A bundle that refuses more than this share of its own test hands is worth a word."""


def train(
    dataset: str | Path,
    run: str | Path = "runs/default",
    preset: str | Path = "default",
    *,
    size: str | None = None,
    reuse: str | Path | None = None,
    retrain: bool = False,
    devices: Devices = ONE_DEVICE,
    progress: Progress | None = None,
) -> Path:
    """Do all of a training that is missing: prepare, every stage, export. The same call resumes it.

    Args:
        dataset: a manifest CSV, or a folder in RSNA's layout; annotations beside it are used.
        run: the training's work folder.
        preset: settings of a new run: the name of a preset, or a YAML file.
        size: of the preset, such as ``small``; None is ``full``.
        reuse: another run of the same data set; its stages that fit, such as the hand frames, are taken over.
        retrain: train anew what no longer fits settings and data; otherwise that is refused.
        devices: what networks are trained on: GPUs, machines, precision. With several the calling script must guard
            its own work with ``if __name__ == "__main__"``, for new processes import it.
        progress: told what is done, how far, of how much.

    Returns:
        The bundle's folder, to be opened with :func:`boneage_roi.load`.

    Raises:
        InputError: the data set or the settings cannot be used, there are too few hands, or a finished stage no longer
            fits the settings and data.
    """
    opened = Run(Path(run), devices)
    devices.check()
    other = None if reuse is None else Run(Path(reuse))
    if other is not None:
        _ = other.config  # a wrong folder is told before images are read
    if devices.leads:
        prepare(Path(dataset), opened, TrainConfig.load(preset, size), progress)
        if other is not None:
            take_over(opened, other)
    elif not (opened.path / layout.MANIFEST).is_file():
        raise InputError(f"{run}: not prepared; with several machines run `boneage-roi prepare` once before")
    if retrain and devices.nodes > 1:
        raise InputError("several machines train what is missing only; use --retrain on one of them first")
    if lacking := shortcomings(opened):
        raise InputError(lacking[0])
    from boneage_roi.training.stages import train_everything

    return train_everything(opened, retrain=retrain, progress=progress)


def refusal_note(metrics: dict[str, Any]) -> str | None:
    """A line about a bundle that refuses most of its own test hands; None when it does not.

    Args:
        metrics: of the bundle's manifest.
    """
    refused = metrics.get("refused") or {}
    if not refused.get("hands") or refused["share"] <= MANY:
        return None
    return (
        f"the bundle refuses {refused['share']:.0%} of {refused['hands']} of its own test hands, most often for "
        f"{refused['reason']!r}: its segmenter or its region finder learnt too little; look at their metrics and curves"
    )
