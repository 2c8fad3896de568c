"""The stages of a training in their order: each makes sure that what it learns from is there."""

import shutil
from pathlib import Path
from typing import Any

from boneage_roi.detection.train import train_detector
from boneage_roi.errors import InputError
from boneage_roi.fusion.train import train_fusion
from boneage_roi.pipeline.bundle import Bundle
from boneage_roi.quality.train import train_gate
from boneage_roi.regional_models.train import train_region
from boneage_roi.regions import REGIONS
from boneage_roi.runs.run import Run
from boneage_roi.segmentation.train import train_segmenter
from boneage_roi.training.artefacts import cache_boxes, cache_frames, cache_measures, cache_readings
from boneage_roi.training.export import export_bundle

Metrics = dict[str, Any]


def segmenter_stage(run: Run) -> Metrics:
    """Train the segmenter of a prepared run, or take over that of the bundle that it starts from."""
    _take_over(run, "segmenter")
    return train_segmenter(run)


def detector_stage(run: Run) -> Metrics:
    """Cut out every hand, then train the detector on the annotated ones, or take over that of the starting bundle."""
    _needs(run, "segmenter", "train-segmenter")
    cache_frames(run)
    _take_over(run, "detector")
    return train_detector(run)


def region_stage(run: Run, region: str) -> Metrics:
    """Find the regions of every hand, then train the network of one; the whole hand needs no detector."""
    _needs(run, "segmenter", "train-segmenter")
    cache_frames(run)
    if not REGIONS[region].whole:
        _needs(run, "detector", "train-detector")
        cache_boxes(run)
    bundle = _start(run, f"regions/{region}")
    return train_region(
        run, region, start=None if bundle is None else bundle.file(bundle.manifest.network(region).file)
    )


def fusion_stage(run: Run) -> Metrics:
    """Read every region of the hands of the ``fusion`` split, then train the fusion on the readings."""
    for region in run.config.regions:
        _needs(run, f"regions/{region}", f"train-region {region}")
        cache_readings(run, region)
    return train_fusion(run)


def quality_stage(run: Run) -> Metrics:
    """Measure hands and images that are none, then learn what the quality gate lets through."""
    _needs(run, "fusion", "train-fusion")
    cache_measures(run)
    return train_gate(run)


def train_everything(run: Run) -> Path:
    """Do every stage that is missing and write the bundle; returns its folder."""
    segmenter_stage(run)
    detector_stage(run)
    for region in run.config.regions:
        region_stage(run, region)
    fusion_stage(run)
    quality_stage(run)
    return export_bundle(run)


def _start(run: Run, stage: str) -> Bundle | None:
    """The bundle that a stage starts from; none when the stage is finished."""
    config = run.config
    if config.start is None or run.metrics(stage) is not None:
        return None
    bundle = Bundle.load(None if config.start == "default" else config.start)
    its = bundle.manifest
    sizes = (its.frame_size, its.segmenter.size, its.finder.size)
    if sizes != (config.frame_size, config.segmenter.size, config.detector.size):
        given = ", ".join(map(str, sizes))
        raise InputError(
            f"{bundle.path}: its frame, segmenter and detector have the sizes {given}; set the same to start from it"
        )
    return bundle


def _take_over(run: Run, stage: str) -> None:
    """Use a stage's network of the bundle that the run starts from, with what its training measured."""
    if (bundle := _start(run, stage)) is not None:
        shutil.copyfile(bundle.file(f"{stage}.onnx"), run.stage(stage) / f"{stage}.onnx")
        run.finish(stage, bundle.manifest.metrics[stage])


def _needs(run: Run, stage: str, command: str) -> None:
    if run.metrics(stage) is None:
        raise InputError(f"{run.path}: the {stage} is not trained yet; run `boneage-roi {command}` first")
