"""A tiny run that has been through every stage, and copies of it to change."""

import shutil
from pathlib import Path

import pytest

from boneage_roi.regions import REGIONS
from boneage_roi.runs.run import Run
from boneage_roi.training.prepare import prepare
from tests.real.tiny import SHIPPED_SEGMENTER, cache_label_boxes, tiny_config, write_tiny_dataset


@pytest.fixture(scope="session")
def segmented_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Prepared, segmenter trained, frames cut."""
    pytest.importorskip("torch")
    from boneage_roi.segmentation.train import train_segmenter
    from boneage_roi.training.artefacts import cache_frames

    folder = tmp_path_factory.mktemp("tiny")
    run = Run(folder / "run")
    prepare(write_tiny_dataset(folder / "hands"), run, tiny_config())
    train_segmenter(run)
    shutil.copyfile(SHIPPED_SEGMENTER, run.network("segmenter"))
    cache_frames(run)
    return run


@pytest.fixture(scope="session")
def tiny_run(segmented_run: Run) -> Run:
    """Every stage trained, bundle written. Not to be changed: see ``copied_run``."""
    from boneage_roi.detection.train import train_detector
    from boneage_roi.fusion.train import train_fusion
    from boneage_roi.regional_models.train import train_region
    from boneage_roi.training.artefacts import cache_readings
    from boneage_roi.training.export import export_bundle
    from boneage_roi.training.stages import quality_stage

    train_detector(segmented_run)
    cache_label_boxes(segmented_run)
    for region in REGIONS:
        train_region(segmented_run, region)
        cache_readings(segmented_run, region)
    train_fusion(segmented_run)
    quality_stage(segmented_run)
    export_bundle(segmented_run)
    return segmented_run


@pytest.fixture
def copied_run(tiny_run: Run, tmp_path: Path) -> Run:
    """A copy of the tiny run that a test may change."""
    return Run(Path(shutil.copytree(tiny_run.path, tmp_path / "copy")))
