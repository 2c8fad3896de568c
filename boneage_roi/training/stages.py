"""The stages of a training in their order: each makes sure that what it learns from is there and fits."""

import shutil
import time
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, cast

from boneage_roi.aspect.train import train_aspect
from boneage_roi.configs.finders import find_finder
from boneage_roi.errors import InputError
from boneage_roi.fusion.train import train_fusion
from boneage_roi.pipeline.bundle import Bundle
from boneage_roi.progress import Progress
from boneage_roi.quality.train import train_gate
from boneage_roi.regional_models.train import train_region
from boneage_roi.regions import detected
from boneage_roi.runs import layout, plan
from boneage_roi.runs.fingerprints import Fingerprints
from boneage_roi.runs.run import Run
from boneage_roi.segmentation.train import train_segmenter
from boneage_roi.training.artefacts import (
    cache_aspect_samples,
    cache_boxes,
    cache_frames,
    cache_measures,
    cache_readings,
)
from boneage_roi.training.export import export_bundle

Metrics = dict[str, Any]

LOOK_AGAIN = 2.0
"""Seconds after which a machine that does not lead looks again whether the other has finished."""


def segmenter_stage(run: Run, progress: Progress | None = None) -> Metrics:
    """Train the segmenter of a prepared run, or take over that of the bundle that it starts from."""
    _take_over(run, layout.SEGMENTER)
    return train_segmenter(run, progress)


def aspect_stage(run: Run, progress: Progress | None = None) -> Metrics:
    """Train the network that measures the aspect, or take over that of the starting bundle where it has one."""
    run.require(*plan.trained_before(run.config, layout.ASPECT))
    bundle = _start(run, layout.ASPECT)
    if bundle is not None and bundle.manifest.aspect is not None:
        _take_over(run, layout.ASPECT)
    cache_aspect_samples(run, progress)
    return train_aspect(run, progress)


def detector_stage(run: Run, progress: Progress | None = None) -> Metrics:
    """Cut out every hand, then train what finds the regions, or take over the starting bundle's of the same kind."""
    run.require(*plan.trained_before(run.config, layout.DETECTOR))
    if run.metrics(layout.DETECTOR) is None:  # a finished one needs none, and they may have been cleaned away
        cache_frames(run, progress)
    kind = run.config.finder_kind if plan.finder_is_trained(run.config) else "detector"
    bundle = _start(run, layout.DETECTOR)
    if bundle is not None and bundle.manifest.finder.kind == kind:
        _take_over(run, layout.DETECTOR)
    return cast(Metrics, resolve_name(find_finder(kind).trains)(run, progress))


def region_stage(run: Run, region: str, progress: Progress | None = None) -> Metrics:
    """Find the regions of every hand, then train the network of one; the whole hand needs no detector."""
    stage = layout.region_stage(region)
    run.require(*plan.trained_before(run.config, stage))
    if run.metrics(stage) is None:
        cache_frames(run, progress)
    if run.metrics(stage) is None and detected([region]):
        cache_boxes(run, progress)
    return train_region(run, region, _start_network(run, region), progress)


def fusion_stage(run: Run, progress: Progress | None = None) -> Metrics:
    """Read every region of the hands of the ``fusion`` split, then train the fusion on the readings."""
    run.require(*plan.trained_before(run.config, layout.FUSION))
    for region in run.config.regions:
        cache_readings(run, region, progress=progress)
    return train_fusion(run, progress)


def quality_stage(run: Run, progress: Progress | None = None) -> Metrics:
    """Measure hands and images that are none, then learn what the quality gate lets through."""
    run.require(*plan.trained_before(run.config, layout.QUALITY))
    cache_measures(run, progress)
    return train_gate(run)


def train_everything(run: Run, *, retrain: bool = False, progress: Progress | None = None) -> Path:
    """Do every stage that is missing and write the bundle.

    Args:
        retrain: train anew what no longer fits the run's settings and data; otherwise that is refused.

    Returns:
        The bundle's folder.
    """
    stages = plan.trained_stages(run.config)
    if not retrain:
        for stage in stages:
            run.refuse_stale(stage)
    for number, stage in enumerate(stages):
        if progress is not None:
            progress("stages", number, len(stages) + 1)
        if retrain and Fingerprints(run).why_stale(stage) is not None:
            run.clear(stage)
        one_stage(run, stage, progress)
    bundle = export_bundle(run, progress) if run.devices.leads else run.bundle
    if progress is not None:
        progress("stages", len(stages) + 1, len(stages) + 1)
    return bundle


def one_stage(run: Run, stage: str, progress: Progress | None = None) -> Metrics:
    """Do one stage, known by its folder; on a machine that does not lead, take part in its training."""
    if not run.devices.leads:
        return _follow(run, stage, progress)
    kind, name = stage.partition("/")[0], stage.rpartition("/")[2]
    if kind == layout.REGIONS:
        return region_stage(run, name, progress)
    stages = {
        layout.SEGMENTER: segmenter_stage,
        layout.ASPECT: aspect_stage,
        layout.DETECTOR: detector_stage,
        layout.FUSION: fusion_stage,
        layout.QUALITY: quality_stage,
    }
    return stages[kind](run, progress)


def _follow(run: Run, stage: str, progress: Progress | None) -> Metrics:
    """Train along with the machine that leads, once it has made what the stage learns from; wait until it is done.

    All that is not trained by Lightning, the leading machine does alone.
    """
    kind, name = stage.partition("/")[0], stage.rpartition("/")[2]
    start = _start(run, stage)
    if kind == layout.REGIONS:
        _wait_for(run, layout.FRAMES, *((layout.BOXES,) if detected([name]) else ()))
        train_region(run, name, _start_network(run, name), progress)
    elif kind == layout.SEGMENTER and start is None:
        train_segmenter(run, progress)
    elif kind == layout.ASPECT and (start is None or start.manifest.aspect is None):
        while not (run.path / layout.ASPECT / layout.SAMPLES_FILE).is_file():
            time.sleep(LOOK_AGAIN)
        train_aspect(run, progress)
    _wait_for(run, stage)
    return run.metrics(stage) or {}


def _wait_for(run: Run, *stages: str) -> None:
    """Return when another machine has finished stages."""
    while any(run.metrics(stage) is None or Fingerprints(run).why_stale(stage) is not None for stage in stages):
        time.sleep(LOOK_AGAIN)


def _start_network(run: Run, region: str) -> Path | None:
    """The network that a region's training goes on from."""
    bundle = _start(run, layout.region_stage(region)) if run.config.start_regions else None
    return None if bundle is None else bundle.file(bundle.manifest.network(region).file)


def _start(run: Run, stage: str) -> Bundle | None:
    """The bundle that a stage starts from; none when the stage is finished."""
    config = run.config
    if config.start is None or run.metrics(stage) is not None:
        return None
    bundle = Bundle.load(None if config.start == "default" else config.start)
    its = bundle.manifest
    sizes, wanted = [its.frame_size, its.segmenter.size], [config.frame_size, config.segmenter.size]
    if plan.finder_is_trained(config) and its.finder.kind == config.finder_kind:
        sizes, wanted = [*sizes, its.finder.size], [*wanted, plan.finder_size(config)]
        if set(detected(config.regions)) - set(its.finder.regions):
            raise InputError(f"{bundle.path}: its detector finds {', '.join(its.finder.regions)}; set these regions")
    if sizes != wanted:
        given = ", ".join(map(str, sizes))
        raise InputError(
            f"{bundle.path}: its frame, segmenter and detector have the sizes {given}; set the same to start from it"
        )
    return bundle


def _take_over(run: Run, stage: str) -> None:
    """Use a stage's network of the bundle that the run starts from, with what its training measured."""
    if (bundle := _start(run, stage)) is not None:
        run.begin(stage)
        network = run.network(stage)
        shutil.copyfile(bundle.file(f"{stage}.onnx"), network)
        metrics = dict(bundle.manifest.metrics[stage])
        if stage == layout.DETECTOR:
            metrics["regions"] = list(bundle.manifest.finder.regions)
        run.finish(stage, metrics, outputs=[network.name])
