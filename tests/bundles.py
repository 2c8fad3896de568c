"""The bundles that tests work on: a whole one of toy files, and the shipped one when it is there."""

from pathlib import Path

import pytest

from boneage_roi.pipeline.bundle import DEFAULT_BUNDLE, RegionSpec, bundle_files, write_bundle_manifest
from boneage_roi.regions import Region

EXAMPLES = Path(__file__).parents[1] / "examples"

needs_bundle = pytest.mark.skipif(
    not (DEFAULT_BUNDLE / "manifest.json").is_file() or not (EXAMPLES / "manifest.csv").is_file(),
    reason="the default bundle or the examples are not there",
)


def write_toy_bundle(folder: Path) -> Path:
    """A bundle that is whole, but whose networks are not networks."""
    regions = {region: RegionSpec(size=(112, 56), margin=0.1, features=64) for region in Region}
    for name in bundle_files(regions):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"stands for {name}")
    write_bundle_manifest(
        folder,
        name="toy",
        regions=regions,
        frame_size=(512, 416),
        segmenter_size=256,
        detector_size=320,
        training_data="twelve toys",
        license_note="for play only",
        metrics={"test": {"mae": 6.25, "hands": 1200}},
    )
    return folder
