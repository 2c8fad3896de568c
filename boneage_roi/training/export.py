"""Writing the bundle of a finished run."""

import shutil
from pathlib import Path
from typing import Any

from boneage_roi.errors import InputError
from boneage_roi.files import write_atomically
from boneage_roi.fusion.runtime import FUSION_FILES
from boneage_roi.pipeline.bundle import Bundle, write_bundle_manifest
from boneage_roi.pipeline.reader import BoneAgeReader
from boneage_roi.regional_models.networks.region_net import FEATURES
from boneage_roi.regions import detected
from boneage_roi.runs.run import Run
from boneage_roi.training.measuring import measure_test
from boneage_roi.training.model_card import model_card


def export_bundle(run: Run) -> Path:
    """Gather the exported networks, measure them on ``test``, write card and manifest, open the bundle to check it.

    Returns:
        The bundle's folder, ``run/bundle``.

    Raises:
        InputError: a stage is not finished.
    """
    config = run.config
    metrics = {stage: _finished(run, stage) for stage in ("segmenter", "detector", "fusion", "quality")}
    metrics["regions"] = {region: _finished(run, f"regions/{region}") for region in config.regions}
    metrics["test"] = measure_test(run)
    files = {
        "segmenter.onnx": "segmenter/segmenter.onnx",
        "detector.onnx": "detector/detector.onnx",
        **{f"regions/{region}.onnx": f"regions/{region}/{region}.onnx" for region in config.regions},
        **{name: f"fusion/{name}" for name in FUSION_FILES},
        "quality.json": "quality/quality.json",
    }
    shutil.rmtree(run.bundle, ignore_errors=True)
    for name, source in files.items():
        (run.bundle / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(run.path / source, run.bundle / name)
    counts = {str(split): int(n) for split, n in run.manifest.split.value_counts().items()}
    write_atomically(run.bundle / "MODEL_CARD.md", model_card(config, metrics, counts))
    write_bundle_manifest(
        run.bundle,
        name=config.name,
        frame_size=config.frame_size,
        segmenter={"size": config.segmenter.size},
        finder={
            "kind": "detector",
            "file": "detector.onnx",
            "size": config.detector.size,
            "regions": detected(config.regions),
        },
        networks=[
            {
                "region": region,
                "file": f"regions/{region}.onnx",
                "size": spec.size,
                "margin": spec.margin,
                "features": FEATURES,
            }
            for region, spec in config.regions.items()
        ],
        fusion={"kind": "rb-fcl+trees"},
        training_data=config.training_data,
        license_note=config.license_note,
        metrics=metrics,
    )
    BoneAgeReader(Bundle.load(run.bundle))
    return run.bundle


def _finished(run: Run, stage: str) -> dict[str, Any]:
    metrics = run.metrics(stage)
    if metrics is None:
        names = ", ".join(("segmenter", "detector", *run.config.regions, "fusion", "quality"))
        raise InputError(f"{run.path}: {stage} is not trained yet; a bundle needs all of {names}")
    return metrics
