"""The feature-connected layer, and what the trees learn."""

from pathlib import Path

import numpy as np
import pytest
import torch

from boneage_roi.configs.schema import FusionConfig
from boneage_roi.fusion.boosting import Residuals
from boneage_roi.fusion.features import HandReadings, moments, stack_readings
from boneage_roi.fusion.kind import CrossFitted, Lesson
from boneage_roi.fusion.layer import LayerTraining
from boneage_roi.fusion.model import Committee, FeatureConnectedLayer
from boneage_roi.learning.losses import expected_ages
from boneage_roi.values import AgeGrid
from tests.fusion.makers import ALL, COUNT, WIDTH, gaussian, hands_of, reading


def output(layer: torch.nn.Module, hands: HandReadings) -> np.ndarray:
    with torch.no_grad():
        return np.asarray(layer.eval()(*(torch.from_numpy(array) for array in hands.network_inputs.values())))


def disturbed(layer: FeatureConnectedLayer) -> FeatureConnectedLayer:
    """As after training: no parameter is at its start."""
    torch.manual_seed(3)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return layer


def test_the_layer_starts_as_the_geometric_mean() -> None:
    hands = hands_of(5)
    mean = np.exp(np.log(hands.distributions + 1e-6).mean(axis=1))
    expected = mean / mean.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(output(FeatureConnectedLayer(COUNT, WIDTH), hands), expected, atol=1e-6)


def test_absent_regions_do_not_count_at_the_start() -> None:
    fused = output(FeatureConnectedLayer(COUNT, WIDTH), stack_readings([([reading("carpal", 120)], "F")], ALL))
    np.testing.assert_allclose(fused[0], gaussian(120), atol=3e-4)


def test_what_an_absent_region_holds_has_no_influence() -> None:
    layer, hands = disturbed(FeatureConnectedLayer(COUNT, WIDTH)), hands_of(4)
    hands.present[:, 2] = 0
    before = output(layer, hands)
    hands.features[:, 2] = 7
    hands.distributions[:, 2] = gaussian(10)
    np.testing.assert_allclose(output(layer, hands), before, atol=1e-6)
    hands.features[:, 3] = 7
    assert np.abs(output(layer, hands) - before).max() > 1e-4


def test_sex_matters_and_rows_do_not_mix() -> None:
    layer, hands = disturbed(FeatureConnectedLayer(COUNT, WIDTH)), hands_of(4)
    before = output(layer, hands)
    hands.sex[1] = 1 - hands.sex[1]
    after = output(layer, hands)
    assert np.abs(after[1] - before[1]).max() > 1e-4
    np.testing.assert_allclose(after[[0, 2, 3]], before[[0, 2, 3]], atol=1e-6)


def test_the_committee_is_the_mean_of_its_members() -> None:
    members, hands = (
        [FeatureConnectedLayer(COUNT, WIDTH), disturbed(FeatureConnectedLayer(COUNT, WIDTH))],
        hands_of(3),
    )
    expected = np.mean([output(member, hands) for member in members], axis=0)
    np.testing.assert_allclose(output(Committee(members), hands), expected, atol=1e-6)


def placed(array: np.ndarray, offset: int) -> np.ndarray:
    """The same numbers, so many bytes behind a multiple of 64 in memory."""
    room = np.zeros(array.nbytes + 128, np.uint8)
    start = -room.ctypes.data % 64 + offset
    there = room[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    there[:] = array
    return there


def test_18_16_where_the_grid_lies_in_memory_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Matrix products add up in another order for another alignment, and trees learnt from such bits are others."""
    layer, logits = FeatureConnectedLayer(COUNT, WIDTH), torch.randn(9, 240, generator=torch.manual_seed(0))
    months, said = AgeGrid().months, set()
    for offset in range(0, 64, 4):
        monkeypatch.setattr(AgeGrid, "months", placed(months, offset))
        training = LayerTraining(layer, FusionConfig().layer, AgeGrid())
        ages = (expected_ages(logits, AgeGrid()), logits.softmax(-1) @ training.months)
        said |= {age.numpy().tobytes() for age in ages}
    assert len(said) == 1


def test_the_trees_also_get_the_mean_error_of_each_sex_and_age_band() -> None:
    hands = hands_of(400)
    said = np.stack([gaussian(age) for age in np.linspace(70, 170, 400)])
    ages = moments(said)[0]
    girls = (hands.sex == 0) & (ages > 140) & (ages < 160)
    true = (ages + 6 * girls).astype(np.float32)
    settings = FusionConfig()
    fitted = Residuals(CrossFitted(said, ages), Lesson(hands, true, settings, Path("unused")))
    band = (hands.sex == 0) & (true >= 132) & (true < 168)
    shared = 6 * girls.mean()  # what all hands lack is in each hand's own error already
    mean = (6 * girls.sum() - shared * band.sum()) / (band.sum() + settings.trees.few)
    expected = 6 * girls[band] + settings.trees.counterweight * mean
    np.testing.assert_allclose(fitted.corrections[band], expected, atol=0.01)
    boys = (hands.sex == 1) & (true >= 96) & (true < 132)
    less = -shared * boys.sum() / (boys.sum() + settings.trees.few)
    np.testing.assert_allclose(fitted.corrections[boys], settings.trees.counterweight * less, atol=0.01)
