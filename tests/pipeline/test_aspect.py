"""Hands that look squashed get their aspect back, unless somebody said what it is."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from boneage_roi.errors import InputError
from boneage_roi.pipeline.bundle import DEFAULT_BUNDLE, Bundle, write_bundle_manifest
from boneage_roi.pipeline.reader import BoneAgeReader
from tests.aspect.hands import constant_network
from tests.bundles import EXAMPLES, needs_bundle

pytestmark = needs_bundle
GIRL = EXAMPLES / "girl-10y.png"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped bundle with a network that takes every hand for 1.22 times too wide."""
    folder = tmp_path_factory.mktemp("bundle") / "squashed"
    shutil.copytree(DEFAULT_BUNDLE, folder)
    constant_network(folder / "aspect.onnx", 0.2)
    fields = json.loads(Bundle.load().manifest.model_dump_json(exclude={"created", "package_version", "files"}))
    write_bundle_manifest(folder, **fields | {"aspect": {"file": "aspect.onnx", "limit": 0.1}})
    return folder


def test_the_aspect_is_restored_in_two_steps_and_flagged(bundle: Path) -> None:
    reader = BoneAgeReader(bundle, tta=False)
    believed = BoneAgeReader(bundle, tta=False, aspect="as-is").analyse(GIRL)
    restored = reader.analyse(GIRL)
    assert believed.wide == 1
    assert restored.wide == pytest.approx(np.exp(0.4))
    (height, width), (high, wide) = believed.radiograph.pixels.shape, restored.radiograph.pixels.shape
    assert (width / height) / (wide / high) == pytest.approx(np.exp(0.4), rel=0.01)
    assert restored.mask.pixels.shape == restored.radiograph.pixels.shape
    assert "looks 1.49 times too wide: aspect ratio restored" in reader.assess(restored).warnings


def test_a_native_size_goes_before_it(bundle: Path) -> None:
    reader = BoneAgeReader(bundle, tta=False)
    height, width = reader.analyse(GIRL).radiograph.pixels.shape
    age = reader.predict(GIRL, sex="F", native_size=(3 * width, 3 * height))
    assert not any("aspect" in flag for flag in age.flags)


def test_an_aspect_that_is_neither_is_said_in_a_line(bundle: Path) -> None:
    with pytest.raises(InputError, match="aspect 'square' is unknown; known are auto, as-is"):
        BoneAgeReader(bundle, aspect="square")


def test_the_networks_file_belongs_to_the_bundle(bundle: Path) -> None:
    assert "aspect.onnx" in Bundle.load(bundle).manifest.files
    assert "aspect.onnx" in Bundle.load(bundle).manifest.needed_files
