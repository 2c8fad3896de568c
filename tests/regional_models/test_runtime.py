"""Reading a region with its exported network."""

from pathlib import Path

import numpy as np
import pytest

from boneage_roi.regional_models.crops import Crops
from boneage_roi.regional_models.runtime import RegionReader
from boneage_roi.regions import Region
from tests.bundles import DEFAULT_BUNDLE, needs_bundle

NETWORK = DEFAULT_BUNDLE / "regions" / "epiphysis.onnx"


def some_crops(count: int = 3) -> Crops:
    random = np.random.default_rng(0)
    places = random.uniform(0.2, 0.8, (count, 4)).astype(np.float32)
    return Crops(random.integers(0, 255, (count, 48, 48), dtype=np.uint8), places, 0.9)


def mirrored(crops: Crops) -> Crops:
    places = crops.places.copy()
    places[:, 0] = 1 - places[:, 0]
    return Crops(np.ascontiguousarray(crops.pixels[:, :, ::-1]), places, crops.confidence)


def reader(*, tta: bool, path: Path = NETWORK) -> RegionReader:
    return RegionReader(path, Region.EPIPHYSIS, size=(48, 48), margin=0.1, tta=tta)


@needs_bundle
def test_test_time_augmentation_is_the_mean_of_both_views() -> None:
    crops, plain = some_crops(), reader(tta=False)
    views = [plain.read(crops, "F"), plain.read(mirrored(crops), "F")]
    both = reader(tta=True).read(crops, "F")
    np.testing.assert_allclose(both.distribution, np.mean([view.distribution for view in views], axis=0), atol=1e-5)
    np.testing.assert_allclose(both.features, np.mean([view.features for view in views], axis=0), atol=1e-4)
    assert views[0].expected_age != pytest.approx(views[1].expected_age, abs=1e-3)


@needs_bundle
def test_a_mirrored_hand_reads_the_same_with_test_time_augmentation() -> None:
    crops, both = some_crops(), reader(tta=True)
    assert both.read(mirrored(crops), "M").expected_age == pytest.approx(both.read(crops, "M").expected_age, abs=1e-3)
