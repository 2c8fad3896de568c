"""The bundles that tests work on: a whole one of toy files, and the shipped one when it is there."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest

from boneage_roi.pipeline.bundle import DEFAULT_BUNDLE, write_bundle_manifest
from boneage_roi.pipeline.manifest import FUSION_FILES, read_manifest
from boneage_roi.regions import REGIONS, detected

EXAMPLES = Path(__file__).parents[1] / "examples"

needs_bundle = pytest.mark.skipif(
    not (DEFAULT_BUNDLE / "manifest.json").is_file() or not (EXAMPLES / "manifest.csv").is_file(),
    reason="the default bundle or the examples are not there",
)


TOY: dict[str, Any] = {
    "name": "toy",
    "frame_size": (512, 416),
    "segmenter": {"size": 256},
    "finder": {"kind": "detector", "file": "detector.onnx", "size": 320, "regions": detected(REGIONS)},
    "networks": [
        {"region": region, "file": f"regions/{region}.onnx", "size": (112, 56), "margin": 0.1, "features": 64}
        for region in REGIONS
    ],
    "fusion": {"kind": "rb-fcl+trees"},
    "training_data": "twelve toys",
    "license_note": "for play only",
    "metrics": {"test": {"mae": 6.25, "hands": 1200}},
}
"""A manifest's fields, as ``write_bundle_manifest`` takes them."""


def write_toy_bundle(folder: Path, **changes: Any) -> Path:
    """A bundle that is whole, but whose networks are not networks."""
    fields = TOY | changes
    names = [fields["segmenter"].get("file", "segmenter.onnx"), *(network["file"] for network in fields["networks"])]
    names += [fields["finder"]["file"]] if fields["finder"].get("file") else []
    names += [*FUSION_FILES[fields["fusion"]["kind"]], "intervals.json", "quality.json", "MODEL_CARD.md"]
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"stands for {name}")
    write_bundle_manifest(folder, **fields)
    return folder


def copy_with_fusion(folder: Path, kind: str, **changes: Any) -> Path:
    """The shipped bundle with another fusion, taught a little; needs the training packages."""
    from boneage_roi.configs.schema import FusionConfig
    from boneage_roi.fusion.features import moments
    from boneage_roi.fusion.kind import Lesson
    from boneage_roi.fusion.kinds import find_fusion
    from tests.fusion.makers import hands_of

    shutil.copytree(DEFAULT_BUNDLE, folder)
    manifest = read_manifest(folder / "manifest.json")
    for name in FUSION_FILES[manifest.fusion.kind]:
        (folder / name).unlink()
    hands = hands_of(80, width=manifest.networks[0].features)
    ages = moments(hands.distributions)[0].mean(1)
    with tempfile.TemporaryDirectory() as taught:
        find_fusion(kind).teach(Lesson(hands, ages, FusionConfig(kind=kind, folds=2, epochs=3), Path(taught)))
        for name in FUSION_FILES[kind]:
            shutil.copyfile(Path(taught) / name, folder / name)
    fields = manifest.model_dump(exclude={"created", "package_version", "files", "schema_version"})
    write_bundle_manifest(folder, **fields | {"fusion": {"kind": kind}} | changes)
    return folder
