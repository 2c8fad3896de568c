"""Writing the bundle of a finished run: what its stages were trained as, whatever the settings say by now."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from boneage_roi.configs.finders import find_finder
from boneage_roi.files import replace_folder, write_atomically
from boneage_roi.fusion.kinds import find_fusion
from boneage_roi.fusion.maturity import MATURITY_FILE
from boneage_roi.fusion.train import INTERVALS
from boneage_roi.learning.curves import seconds
from boneage_roi.onnx_session import open_session
from boneage_roi.pipeline.bundle import Bundle, write_bundle_manifest
from boneage_roi.pipeline.reader import BoneAgeReader
from boneage_roi.progress import Progress
from boneage_roi.regional_models.bones import BONES_FILE, scales_text
from boneage_roi.runs import layout, plan
from boneage_roi.runs.run import Run
from boneage_roi.training.artefacts import found_regions
from boneage_roi.training.bones import measure_bones
from boneage_roi.training.measuring import measure_refused, measure_test
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
    metrics["training_seconds"] = round(sum(seconds(run.path / stage) for stage in stages))
    files = {
        "segmenter.onnx": run.network(layout.SEGMENTER),
        **({} if config.aspect is None else {"aspect.onnx": run.network(layout.ASPECT)}),
        **({"detector.onnx": run.network(layout.DETECTOR)} if plan.finder_is_trained(config) else {}),
        **{f"regions/{region}.onnx": run.network(layout.region_stage(region)) for region in config.regions},
        **{name: run.path / layout.FUSION / name for name in _fusion_files(config.fusion.kind)},
        layout.GATE_FILE: run.path / layout.QUALITY / layout.GATE_FILE,
    }
    if (maturity := run.path / layout.FUSION / MATURITY_FILE).is_file():  # not of a fusion that was taken over
        files[MATURITY_FILE] = maturity
    counts = {str(split): int(n) for split, n in run.manifest.split.value_counts().items()}
    with replace_folder(run.bundle) as folder:
        for name, source in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, folder / name)
        write_atomically(folder / "MODEL_CARD.md", model_card(config, metrics, counts))
        fields = {
            "name": config.name,
            "training_data": config.training_data,
            "license_note": config.license_note,
            "aspect": None if config.aspect is None else {"limit": metrics[layout.ASPECT]["limit"]},
            **_trained_as(run),
        }
        write_bundle_manifest(folder, metrics=metrics, **fields)
        reader = BoneAgeReader(Bundle.load(folder), tta=False)
        metrics["refused"] = measure_refused(run, reader, progress)
        write_atomically(folder / BONES_FILE, scales_text(measure_bones(run, reader, progress)))
        write_bundle_manifest(folder, metrics=metrics, **fields)
        Bundle.load(folder)
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
        "steps": settings(layout.FRAMES)["steps"],
        "finder": _finder(run, settings),
        "grid": settings(layout.FUSION)["age_grid"],
        "views": settings(layout.readings_stage(regions[0]))["views"],
        "networks": [
            {
                "region": region,
                "file": f"regions/{region}.onnx",
                "size": network["size"],
                "margin": network["margin"],
                "kind": f"{network['network']} {network['backbone']}",
                "features": _features(run, region),
            }
            for region, network in zip(regions, networks, strict=True)
        ],
        "fusion": {"kind": settings(layout.FUSION)["fusion"]["kind"]},
    }


def _finder(run: Run, settings: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    kind, regions = run.config.finder_kind, found_regions(run)
    if not plan.finder_is_trained(run.config):
        return {"kind": kind, "regions": regions}
    size = settings(layout.DETECTOR)[find_finder(kind).settings]["size"]
    longer = size if isinstance(size, int) else max(size)
    return {"kind": kind, "file": "detector.onnx", "size": longer, "regions": regions}


def _features(run: Run, region: str) -> int:
    """Length of the feature vector that a region's network gives."""
    outputs = open_session(run.network(layout.region_stage(region))).get_outputs()
    return int(outputs[1].shape[-1])


def _fusion_files(kind: str) -> tuple[str, ...]:
    return (*find_fusion(kind).files, INTERVALS)
