"""Make the run folder that a bundle could have come from, so that what needs a run can be done with any bundle.

    python benchmarks/run_from_bundle.py default ../data/rsna --run runs/shipped
    python benchmarks/accuracy.py runs/shipped > accuracy.md

Every network of the bundle becomes a finished stage of the run, with the metrics that the bundle records. Then hand
frames, regions and the readings of the `fusion` and `test` hands are made by these networks. Nothing is trained. The
same command goes on where it was stopped.
"""

import shutil
from pathlib import Path
from typing import Annotated, Any

import typer

from boneage_roi.configs.schema import TrainConfig
from boneage_roi.errors import InputError
from boneage_roi.pipeline.bundle import Bundle
from boneage_roi.pipeline.manifest import FUSION_FILES
from boneage_roi.runs import layout
from boneage_roi.runs.run import Run
from boneage_roi.training.artefacts import cache_boxes, cache_frames, cache_readings
from boneage_roi.training.prepare import prepare


def main(
    bundle: Annotated[str, typer.Argument(help="its folder, or `default` for the shipped one")],
    dataset: Path,
    run: Annotated[Path, typer.Option(help="the run folder to make")] = Path("runs/shipped"),
    preset: Annotated[str, typer.Option(help="settings with the frames and crops of the bundle")] = "finetune",
) -> None:
    """Make the run folder of a bundle and a data set."""
    opened = Bundle.load(None if bundle == "default" else bundle)
    config = settings(opened, preset)
    made = Run(run)
    hands = prepare(dataset, made, config)
    take_over(opened, made, layout.SEGMENTER, opened.manifest.segmenter.file)
    cache_frames(made)
    if opened.manifest.finder.file is not None:
        take_over(opened, made, layout.DETECTOR, opened.manifest.finder.file)
        cache_boxes(made)
    for network in opened.manifest.networks:
        take_over(opened, made, layout.region_stage(network.region), network.file)
    for region in config.regions:
        cache_readings(made, region, "fusion")
    take_over(opened, made, layout.FUSION, *FUSION_FILES[opened.manifest.fusion.kind], "intervals.json")
    take_over(opened, made, layout.QUALITY, layout.GATE_FILE)
    for region in config.regions if (hands.split == "test").any() else ():
        cache_readings(made, region, "test")
    if not made.bundle.exists():
        shutil.copytree(opened.path, made.bundle)
    print(f"{len(hands)} images in {run}")


def settings(bundle: Bundle, preset: str) -> TrainConfig:
    """The settings of a preset under the bundle's name, starting from it.

    Raises:
        InputError: the preset's frames or crops are not those of the bundle.
    """
    config, its = TrainConfig.load(preset), bundle.manifest
    wanted = {name: (region.size, region.margin) for name, region in config.regions.items()}
    has = {network.region: (network.size, network.margin) for network in its.networks}
    for name, asked, found in (
        ("frame_size", config.frame_size, its.frame_size),
        ("segmenter.size", config.segmenter.size, its.segmenter.size),
        *((f"regions.{name}", wanted.get(name), has.get(name)) for name in {**wanted, **has}),
    ):
        if asked != found:
            raise InputError(f"{preset}: {name} is {asked}, that of the bundle {bundle.path} is {found}")
    changed = {"name": its.name, "start": str(bundle.path.resolve()), "aspect": None}
    described = {"training_data": its.training_data, "license_note": its.license_note}
    return config.model_copy(update=changed | described)


def take_over(bundle: Bundle, run: Run, stage: str, *files: str) -> None:
    """Make a finished stage of files of a bundle, with what the bundle says was measured.

    Raises:
        InputError: the stage of the run was finished with another network, or no longer fits.
    """
    if run.begin(stage) is not None:
        return
    for name in files:
        shutil.copyfile(bundle.file(name), run.stage(stage) / Path(name).name)
    measured: Any = bundle.manifest.metrics
    for part in stage.split("/"):
        measured = measured[part]
    metrics = dict(measured)
    if stage == layout.DETECTOR:
        metrics["regions"] = list(bundle.manifest.finder.regions)
    run.finish(stage, metrics, outputs=[Path(name).name for name in files])


if __name__ == "__main__":
    from script import run_typed

    run_typed(main)
