"""The stages of a training in their order: each makes sure that what it learns from is there."""

import shutil
from pathlib import Path
from typing import Any

from boneage_roi.detection.train import train_detector
from boneage_roi.errors import InputError
from boneage_roi.fusion.train import train_fusion
from boneage_roi.pipeline.bundle import Bundle
from boneage_roi.pipeline.caching import cache_boxes, cache_frames, cache_measures, cache_readings
from boneage_roi.pipeline.export import export_bundle
from boneage_roi.quality.train import train_gate
from boneage_roi.regional_models.train import train_region
from boneage_roi.regions import Region
from boneage_roi.runs import Run
from boneage_roi.segmentation.train import train_segmenter

Metrics = dict[str, Any]


def segmenter_stage(run: Run) -> Metrics:
    """Train the segmenter of a prepared run, or take over that of the bundle that it starts from."""
    bundle = _start(run)
    return train_segmenter(run) if bundle is None else _take_over(run, bundle, "segmenter")


def detector_stage(run: Run) -> Metrics:
    """Cut out every hand, then train the detector on the annotated ones, or take over that of the starting bundle."""
    _needs(run, "segmenter", "train-segmenter")
    cache_frames(run)
    bundle = _start(run)
    return train_detector(run) if bundle is None else _take_over(run, bundle, "detector")


def region_stage(run: Run, region: Region) -> Metrics:
    """Find the regions of every hand, then train the network of one; the whole hand needs no detector."""
    _needs(run, "segmenter", "train-segmenter")
    cache_frames(run)
    if region is not Region.HAND:
        _needs(run, "detector", "train-detector")
        cache_boxes(run)
    bundle = _start(run)
    return train_region(run, region, start=None if bundle is None else bundle.file(f"regions/{region}.onnx"))


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


def _start(run: Run) -> Bundle | None:
    """The bundle that a run starts from."""
    config = run.config
    if config.start is None:
        return None
    bundle = Bundle.load(None if config.start == "default" else config.start)
    its = bundle.manifest
    sizes = (its.frame_size, its.segmenter_size, its.detector_size)
    if sizes != (config.frame_size, config.segmenter.size, config.detector.size):
        given = ", ".join(map(str, sizes))
        raise InputError(
            f"{bundle.path}: its frame, segmenter and detector have the sizes {given}; set the same to start from it"
        )
    return bundle


def _take_over(run: Run, bundle: Bundle, stage: str) -> Metrics:
    """Use a stage's network of a bundle, with what its training measured."""
    if (metrics := run.metrics(stage)) is None:
        metrics = bundle.manifest.metrics[stage]
        shutil.copyfile(bundle.file(f"{stage}.onnx"), run.stage(stage) / f"{stage}.onnx")
        run.finish(stage, metrics)
    return metrics


def _needs(run: Run, stage: str, command: str) -> None:
    if run.metrics(stage) is None:
        raise InputError(f"{run.path}: the {stage} is not trained yet; run `boneage-roi {command}` first")
