"""The presets that come along."""

import pytest

from boneage_roi.configs.schema import PRESETS, TrainConfig
from boneage_roi.pipeline.bundle import Bundle, RegionSpec
from boneage_roi.regions import Region
from tests.bundles import needs_bundle

FINETUNE = TrainConfig.load("finetune")


@pytest.mark.parametrize("name", [path.stem for path in PRESETS.glob("*.yaml")])
def test_every_preset_trains_every_region(name: str) -> None:
    assert list(TrainConfig.load(name).regions) == list(Region)


@needs_bundle
def test_finetune_sees_what_the_shipped_bundle_sees() -> None:
    shipped = Bundle.load().manifest
    assert FINETUNE.start == "default"
    assert (FINETUNE.frame_size, FINETUNE.segmenter.size) == (shipped.frame_size, shipped.segmenter_size)
    assert FINETUNE.detector.size == shipped.detector_size
    for region, settings in FINETUNE.regions.items():
        spec = shipped.regions[region]
        assert RegionSpec(size=settings.size, margin=settings.margin, features=spec.features) == spec


@needs_bundle
@pytest.mark.parametrize("region", list(Region))
def test_finetune_can_go_on_from_the_shipped_networks(region: Region) -> None:
    pytest.importorskip("torch")
    from boneage_roi.learning.onnx_export import load_onnx
    from boneage_roi.regional_models.train import build_network

    settings = FINETUNE.regions[region].model_copy(update={"pretrained": False})
    load_onnx(build_network(settings), Bundle.load().file(f"regions/{region}.onnx"))
