"""The presets that come along."""

import pytest

from boneage_roi.configs.schema import TrainConfig
from boneage_roi.pipeline.bundle import Bundle
from boneage_roi.regions import REGIONS
from tests.bundles import needs_bundle

FINETUNE = TrainConfig.load("finetune")


@pytest.mark.parametrize("name", ["default", "finetune"])
def test_the_presets_of_the_shipped_system_train_every_region(name: str) -> None:
    assert list(TrainConfig.load(name).regions) == list(REGIONS)


@needs_bundle
def test_finetune_sees_what_the_shipped_bundle_sees() -> None:
    shipped = Bundle.load().manifest
    assert FINETUNE.start == "default"
    assert (FINETUNE.frame_size, FINETUNE.segmenter.size) == (shipped.frame_size, shipped.segmenter.size)
    assert FINETUNE.detector.size == shipped.finder.size
    for region, settings in FINETUNE.regions.items():
        spec = shipped.network(region)
        assert (settings.size, settings.margin) == (spec.size, spec.margin)


@needs_bundle
@pytest.mark.parametrize("region", list(REGIONS))
def test_finetune_can_go_on_from_the_shipped_networks(region: str) -> None:
    pytest.importorskip("torch")
    from boneage_roi.learning.onnx_export import load_onnx
    from boneage_roi.regional_models.networks import build_network

    settings = FINETUNE.regions[region].model_copy(update={"weights": "none"})
    load_onnx(build_network(settings), Bundle.load().file(f"regions/{region}.onnx"))
