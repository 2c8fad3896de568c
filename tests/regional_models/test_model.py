"""The parts of a region's network."""

from typing import Any

import pytest
import torch

from boneage_roi.configs.schema import RegionConfig
from boneage_roi.learning.losses import label_distribution
from boneage_roi.regional_models.networks import build_network
from boneage_roi.regional_models.networks.cbam import CBAM
from boneage_roi.regional_models.networks.region_net import FEATURES, AttentionPooling, RegionNet
from boneage_roi.values import MONTHLY


def untrained(**settings: Any) -> RegionNet:
    network = build_network(RegionConfig(size=(64, 64), stages=3, weights="none", **settings))
    assert isinstance(network, RegionNet)
    return network


@pytest.fixture(scope="module")
def network() -> RegionNet:
    torch.manual_seed(0)
    return untrained().eval()


def random_inputs(hands: int, crops: int) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(hands, crops, 1, 32, 32, generator=generator)
    return images, torch.ones(hands, crops), torch.rand(hands, crops, 4, generator=generator), torch.zeros(hands)


@pytest.mark.parametrize("channels", [8, 40])
def test_cbam_keeps_the_shape_and_changes_the_maps(channels: int) -> None:
    maps = torch.randn(2, channels, 7, 5)
    attended = CBAM(channels)(maps)
    assert attended.shape == maps.shape
    assert not torch.allclose(attended, maps)
    assert torch.equal(attended.sign(), maps.sign())  # it weighs, it does not invent


def test_pooling_ignores_absent_crops() -> None:
    pool = AttentionPooling(12)
    crops, present = torch.randn(2, 4, 12), torch.tensor([[1.0, 1, 0, 0], [1, 1, 1, 1]])
    changed = crops.clone()
    changed[0, 2:] += 5
    assert torch.allclose(pool(crops, present), pool(changed, present))
    changed[0, 0] += 5
    assert not torch.allclose(pool(crops, present)[0], pool(changed, present)[0])
    assert torch.allclose(pool(crops, present)[0], pool(crops[:, :2], present[:, :2])[0], atol=1e-6)


def test_pooling_of_one_crop_is_that_crop() -> None:
    crops = torch.randn(3, 1, 12)
    assert torch.allclose(AttentionPooling(12)(crops, torch.ones(3, 1)), crops[:, 0])


def test_label_distribution_sums_to_one_around_the_age() -> None:
    ages = torch.tensor([40.0, 97.5, 150.0])
    labels = label_distribution(ages, 10.0)
    months = torch.arange(MONTHLY.bins, dtype=torch.float32)
    assert labels.shape == (3, MONTHLY.bins)
    assert torch.allclose(labels.sum(1), torch.ones(3), atol=1e-5)
    assert torch.allclose(labels @ months, ages, atol=0.1)
    spread = ((months - ages[:, None]) ** 2 * labels).sum(1).sqrt()
    assert torch.allclose(spread, torch.full((3,), 10.0), atol=0.1)


def test_network_gives_a_distribution_and_features(network: RegionNet) -> None:
    with torch.no_grad():
        distribution, features = network(*random_inputs(2, 3))
    assert distribution.shape == (2, MONTHLY.bins)
    assert features.shape == (2, FEATURES)
    assert torch.allclose(distribution.sum(1), torch.ones(2), atol=1e-5)


def test_sex_changes_what_the_network_says(network: RegionNet) -> None:
    images, present, places, girl = random_inputs(1, 2)
    with torch.no_grad():
        distributions = [network(images, present, places, sex)[0] for sex in (girl, girl + 1)]
    assert not torch.allclose(distributions[0], distributions[1], rtol=1e-3)


def test_a_padded_hand_reads_like_the_same_hand_alone(network: RegionNet) -> None:
    images, present, places, sex = random_inputs(1, 4)
    present[0, 2:] = 0
    with torch.no_grad():
        padded = network(images, present, places, sex)[0]
        alone = network(images[:, :2], present[:, :2], places[:, :2], sex)[0]
    assert torch.allclose(padded, alone, atol=1e-5)


def test_the_order_of_crops_does_not_matter(network: RegionNet) -> None:
    images, present, places, sex = random_inputs(1, 4)
    order = torch.tensor([2, 0, 3, 1])
    with torch.no_grad():
        one = network(images, present, places, sex)[0]
        other = network(images[:, order], present[:, order], places[:, order], sex)[0]
    assert torch.allclose(one, other, atol=1e-5)


def test_a_crops_own_vector_is_what_a_hand_with_no_other_crop_is_read_by(network: RegionNet) -> None:
    images, present, places, _ = random_inputs(1, 4)
    with torch.no_grad():
        vectors = network.vectors(images, places)
        alone = network.pool(network.vectors(images[:, 2:3], places[:, 2:3]), present[:, 2:3])
    assert vectors.shape[:2] == (1, 4)
    assert torch.allclose(vectors[:, 2], alone, atol=1e-4)


def test_a_network_that_heeds_no_sex_reads_both_alike() -> None:
    network = untrained(sex=False).eval()
    images, present, places, girl = random_inputs(1, 2)
    with torch.no_grad():
        distributions = [network(images, present, places, sex)[0] for sex in (girl, girl + 1)]
    assert torch.equal(*distributions)


def test_without_attention_there_is_none() -> None:
    assert not any(isinstance(part, CBAM) for part in untrained(attention=False).modules())
    assert any(isinstance(part, CBAM) for part in untrained().modules())
