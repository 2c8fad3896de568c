"""Writing the bundle of a finished run: what its stages were trained as, whatever the settings say by now."""

import shutil
from pathlib import Path
from typing import Any

from boneage_roi.files import replace_folder, write_atomically
from boneage_roi.fusion.runtime import FUSION_FILES
from boneage_roi.pipeline.bundle import Bundle, write_bundle_manifest
from boneage_roi.pipeline.reader import BoneAgeReader
from boneage_roi.progress import Progress
from boneage_roi.regional_models.networks.region_net import FEATURES
from boneage_roi.regions import detected
from boneage_roi.runs import layout, plan
from boneage_roi.runs.run import Run
from boneage_roi.training.measuring import measure_test
from boneage_roi.training.model_card import model_card


def export_bundle(run: Run, progress: Progress | None = None) -> Path:
    """Gather the exported networks, measure them on ``test``, write card and manifest, open the bundle to check it.

    The bundle is built beside the old one and takes its place when it is whole.

    Returns:
        The bundle's folder, ``run/bundle``.

    Raises:
        InputError: a stage is not finished, or no longer fits the run's settings and data.
    """
    config = run.config
    stages = plan.trained_stages(config)
    measured = dict(zip(stages, run.require(*stages), strict=True))
    metrics: dict[str, Any] = {name: found for name, found in measured.items() if not name.startswith(layout.REGIONS)}
    metrics["regions"] = {region: measured[layout.region_stage(region)] for region in config.regions}
    metrics["test"] = measure_test(run, progress)
    files = {
        "segmenter.onnx": run.network(layout.SEGMENTER),
        **({} if config.aspect is None else {"aspect.onnx": run.network(layout.ASPECT)}),
        "detector.onnx": run.network(layout.DETECTOR),
        **{f"regions/{region}.onnx": run.network(layout.region_stage(region)) for region in config.regions},
        **{name: run.path / layout.FUSION / name for name in FUSION_FILES},
        layout.GATE_FILE: run.path / layout.QUALITY / layout.GATE_FILE,
    }
    counts = {str(split): int(n) for split, n in run.manifest.split.value_counts().items()}
    with replace_folder(run.bundle) as folder:
        for name, source in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, folder / name)
        write_atomically(folder / "MODEL_CARD.md", model_card(config, metrics, counts))
        write_bundle_manifest(
            folder,
            name=config.name,
            training_data=config.training_data,
            license_note=config.license_note,
            metrics=metrics,
            aspect=None if config.aspect is None else {"limit": metrics[layout.ASPECT]["limit"]},
            **_trained_as(run),
        )
        BoneAgeReader(Bundle.load(folder))
    return run.bundle


def _trained_as(run: Run) -> dict[str, Any]:
    """What the manifest says of the networks: the settings that their stages were trained with."""

    def settings(stage: str) -> dict[str, Any]:
        record = run.record(stage)
        assert record is not None, stage  # it is finished
        found: dict[str, Any] = record["settings"]
        return found

    regions = tuple(run.config.regions)
    networks = [settings(layout.region_stage(region))["regions"][region] for region in regions]
    return {
        "frame_size": settings(layout.FRAMES)["frame_size"],
        "segmenter": {"size": settings(layout.SEGMENTER)["segmenter"]["size"]},
        "finder": {
            "kind": "detector",
            "file": "detector.onnx",
            "size": settings(layout.DETECTOR)["detector"]["size"],
            "regions": detected(regions),
        },
        "networks": [
            {
                "region": region,
                "file": f"regions/{region}.onnx",
                "size": network["size"],
                "margin": network["margin"],
                "features": FEATURES,
            }
            for region, network in zip(regions, networks, strict=True)
        ],
        "fusion": {"kind": "rb-fcl+trees"},
    }
