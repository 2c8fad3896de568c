"""Every preset of the literature, from `prepare` to `predict` on tiny data."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

import boneage_roi as br
from boneage_roi.configs.schema import PRESETS, RegionConfig, TrainConfig
from boneage_roi.errors import InputError
from boneage_roi.pipeline.bundle import Bundle
from boneage_roi.regional_models.networks import build_network
from boneage_roi.runs.run import Run
from boneage_roi.training.prepare import prepare
from boneage_roi.training.stages import train_everything
from tests.bundles import EXAMPLES, needs_bundle
from tests.training.demo_run import small_demo

FILES = sorted((PRESETS / "literature").glob("*.yaml"))
NAMES = [path.stem for path in FILES]
FROM_NOTHING = [name for name in NAMES if name != "tj-net-transfer"]

SIDES = {"hand": (64, 64), "phalanx": (48, 32), "epiphysis": (32, 32)}


def shrunk(region: str, settings: RegionConfig) -> RegionConfig:
    """A region's settings with one epoch of small crops, and little networks."""
    options = dict(settings.options)
    if settings.network == "two-heads":
        options |= {"blocks": 3, "width": 4, "hidden": 32}
    if settings.network in ("bonet", "tj-net"):
        options |= {"width": 8}
    rounds = tuple(one.model_copy(update={"epochs": 1, "size": None}) for one in settings.rounds)
    stages = min(settings.stages, 4)
    changes = {"size": SIDES.get(region, (48, 48)), "rounds": rounds, "weights": "none", "batch": 5, "options": options}
    return settings.model_copy(update={**changes, "stages": stages})


def tiny(name: str, **changes: Any) -> TrainConfig:
    """A preset at its small size, made smaller still."""
    settings = TrainConfig.load(name, "small")
    regions = {region: shrunk(region, one) for region, one in settings.regions.items()}
    attention = settings.attention.model_copy(update={"size": (64, 48), "epochs": 1, "weights": "none"})
    fusion = settings.fusion.model_copy(update={"folds": 2, "epochs": 1})
    views = settings.views[:1]
    return settings.model_copy(
        update={"regions": regions, "attention": attention, "fusion": fusion, "views": views, **changes}
    )


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_a_preset_says_whose_it_is_and_where_it_departs(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    head = "\n".join(line for line in lines if line.startswith("#"))
    assert len(lines) < 60
    assert re.search(r"https://doi\.org/|https://arxiv\.org/|No paper", head)
    assert re.search(r"@\w+\{\w+,|BibTeX in [\w-]+\.yaml", head)
    assert "# Departs: " in head


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_has_two_sizes_and_small_is_smaller(name: str) -> None:
    full, small = TrainConfig.load(name), TrainConfig.load(name, "small")
    assert small.name == f"{full.name}-small"
    assert small.regions.keys() == full.regions.keys()
    for region, settings in small.regions.items():
        theirs = full.regions[region]
        pixels = [np.prod(one.size) * sum(each.epochs for each in one.rounds) for one in (settings, theirs)]
        assert pixels[0] < pixels[1]
        assert settings.network == theirs.network


def test_no_preset_is_a_renamed_copy_of_another() -> None:
    contents = []
    for path in FILES:
        settings = TrainConfig.load(path.stem).model_dump(mode="json")
        contents.append({key: value for key, value in settings.items() if key != "name"})
    assert all(one != other for number, one in enumerate(contents) for other in contents[:number])


def test_a_size_that_a_preset_lacks_lists_those_that_it_has(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no size 'huge'; its sizes are full, small"):
        TrainConfig.load("tj-net", "huge")
    mine = tmp_path / "mine.yaml"
    mine.write_text("regions: {hand: {size: [64, 48]}}\n")
    with pytest.raises(InputError, match="has no size 'small'; its sizes are full"):
        TrainConfig.load(mine, "small")
    mine.write_text("regions: {hand: {size: [64, 48]}}\nsizes: {small: 3}\n")
    with pytest.raises(InputError, match="sizes: a name and settings for each"):
        TrainConfig.load(mine)


def test_a_size_is_laid_over_settings_within_settings(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    content = {
        "regions": {"hand": {"size": [64, 48], "batch": 7}},
        "sizes": {"small": {"regions": {"hand": {"size": [32, 24]}}}},
    }
    mine.write_text(yaml.safe_dump(content))
    small = TrainConfig.load(mine, "small").regions["hand"]
    assert (small.size, small.batch) == ((32, 24), 7)
    assert TrainConfig.load(mine, "full") == TrainConfig.load(mine)


def batch(settings: RegionConfig, hands: int = 4) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    crops = torch.rand(hands, 2, 1, *settings.size, generator=generator)
    return crops, torch.ones(hands, 2), torch.rand(hands, 2, 4, generator=generator), torch.tensor([0.0, 1, 0, 1])


@pytest.mark.parametrize("name", NAMES)
def test_a_gradient_reaches_every_parameter_and_a_distribution_comes_out(name: str) -> None:
    settings = tiny(name)
    one = next(iter(settings.regions.values()))
    torch.manual_seed(0)
    network = build_network(one, settings.grid)
    outputs = network.outputs(*batch(one))
    total = outputs.logits.log_softmax(-1)[:, ::3].sum()
    total = total + sum(other.log_softmax(-1)[:, 1].sum() for _, other in outputs.others)
    if outputs.sex is not None:
        total = total + outputs.sex.sum()
    total.backward()  # type: ignore[no-untyped-call]
    unmoved = [key for key, value in network.named_parameters() if value.grad is None or not value.grad.any()]
    assert unmoved == []
    with torch.no_grad():
        distribution, features, *_ = network.eval()(*batch(one))
    assert distribution.shape == (4, settings.grid.bins)
    assert torch.allclose(distribution.sum(-1), torch.ones(4), atol=1e-5)
    assert features.shape == (4, network.features_length)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_demo(tmp_path_factory.mktemp("demo") / "data")


def trained(dataset: Path, run: Run, settings: TrainConfig) -> Bundle:
    prepare(dataset, run, settings)
    return Bundle.load(train_everything(run))


@needs_bundle
@pytest.mark.parametrize("name", FROM_NOTHING)
def test_from_prepare_to_predict(name: str, dataset: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    settings = tiny(name)
    bundle = trained(dataset, run, settings)
    assert bundle.manifest.regions == tuple(settings.regions)
    assert bundle.manifest.finder.kind == settings.finder_kind
    assert bundle.manifest.fusion.kind == settings.fusion.kind
    assert bundle.manifest.steps == settings.steps
    reader = br.load(bundle, tta=False)
    analysis = reader.analyse(EXAMPLES / "girl-10y.png")
    readings = reader.readings(analysis, "F")  # a gate that learnt from ten hands may refuse it
    assert {reading.region for reading in readings} <= set(settings.regions)
    months, lower, upper = reader.fuse(readings, "F")
    assert 0 <= lower <= months <= upper
    for region in settings.regions:
        measured = run.metrics(f"regions/{region}")
        assert measured is not None
        assert measured["started_from"] == "none"
        assert measured["parameters"] > 0
