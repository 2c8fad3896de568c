"""The presets of the package."""

from pathlib import Path

import pytest

from boneage_roi.configs.schema import TrainConfig
from boneage_roi.errors import InputError
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


GOOD = "name: mine\nregions:\n  hand: {size: [64, 48]}\n"

BAD = {
    "nothing": ("", "settings: Input should be a valid dictionary"),
    "a list": ("- name: mine\n", "settings: Input should be a valid dictionary"),
    "no YAML": ("name: [mine\n", "not valid YAML (while parsing a flow sequence"),
    "code": ("name: !!python/object/apply:os.system [ls]\n", "not valid YAML (could not determine a constructor"),
    "other bytes": ("name: \udcff\udcfe\n", "not a readable YAML file"),
    "brackets without end": ("name: " + "[" * 100_000, "not a readable YAML file"),
    "no regions": ("name: mine\n", "regions: Field required"),
    "none of the regions": ("name: mine\nregions: {}\n", "regions: Dictionary should have at least 1 item"),
    "an unknown setting": (GOOD + "colour: red\n", "colour: Extra inputs are not permitted"),
    "an unknown setting inside": (GOOD + "segmenter: {sise: 3}\n", "segmenter.sise: Extra inputs are not permitted"),
    "an unknown region": (GOOD + "  elbow: {size: [64, 48]}\n", "unknown region 'elbow'; known are hand, radius-ulna"),
    "a region without a size": (GOOD + "  carpal: {margin: 0.1}\n", "regions.carpal.size: Field required"),
    "a word for a number": (GOOD + "seed: many\n", "seed: Input should be a valid integer"),
    "a share above one": (GOOD + "split: {test: 1.5}\n", "split.test: Input should be less than or equal to 1"),
    "no epochs": (GOOD + "detector: {epochs: 0}\n", "detector.epochs: Input should be greater than or equal to 1"),
    "one fold": (GOOD + "fusion: {folds: 1}\n", "fusion.folds: Input should be greater than or equal to 2"),
    "a coverage of all": (GOOD + "fusion: {coverage: 1}\n", "fusion.coverage: Input should be less than 1"),
    "a margin below nought": (GOOD.replace("48]", "48], margin: -1"), "regions.hand.margin: Input should be greater"),
    "no rounds": (GOOD.replace("48]", "48], rounds: []"), "regions.hand.rounds: Tuple should have at least 1 item"),
    "three sides": (GOOD.replace("48]", "48, 3]"), "regions.hand.size: Tuple should have at most 2 items"),
}


@pytest.mark.parametrize("name", BAD)
def test_18_18_a_bad_preset_says_in_a_line_what_is_wrong_and_where(tmp_path: Path, name: str) -> None:
    text, message = BAD[name]
    path = tmp_path / "mine.yaml"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(InputError) as caught:
        TrainConfig.load(path)
    said = str(caught.value)
    assert said.startswith(f"{path}: ")
    assert message in said
    assert "\n" not in said


def test_a_good_preset_of_ones_own_is_read(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(GOOD)
    assert list(TrainConfig.load(tmp_path / "mine.yaml").regions) == ["hand"]


@pytest.mark.parametrize("name", ["mine", "none/of.yaml", ""])
def test_a_preset_that_is_not_there_lists_those_that_are(name: str) -> None:
    with pytest.raises(InputError, match=r"no such preset or YAML file; presets are .*default.*finetune"):
        TrainConfig.load(name)
