"""A hand that reads as a mature one is said to be mature."""

import json
import shutil
from pathlib import Path

from boneage_roi.fusion.maturity import Maturity
from boneage_roi.pipeline.bundle import DEFAULT_BUNDLE, Bundle, write_bundle_manifest
from boneage_roi.pipeline.reader import BoneAgeReader
from tests.bundles import EXAMPLES, needs_bundle

pytestmark = needs_bundle


def test_the_flag_comes_from_the_bundles_limit_of_the_sex(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(DEFAULT_BUNDLE, folder)
    (folder / "maturity.json").write_text(Maturity({"F": 60.0}).to_json())
    fields = json.loads(Bundle.load().manifest.model_dump_json(exclude={"created", "package_version", "files"}))
    write_bundle_manifest(folder, **fields)
    reader = BoneAgeReader(folder, tta=False)
    hand = reader.analyse(EXAMPLES / "girl-10y.png")
    assert "skeletally mature: 60 months (5 y 0 m) or more" in reader.read(hand, "F").flags
    assert not any("mature" in flag for flag in reader.read(hand, "M").flags)
    assert not any("mature" in flag for flag in BoneAgeReader(tta=False).read(hand, "F").flags)
