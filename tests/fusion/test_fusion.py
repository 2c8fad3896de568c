"""The feature-connected layer, what the trees see, and the intervals."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from boneage_roi.errors import InputError  # noqa: E402
from boneage_roi.fusion.calibration import fit_intervals  # noqa: E402
from boneage_roi.fusion.features import (  # noqa: E402
    ABSENT,
    HandReadings,
    disagreement,
    moments,
    stack_readings,
    tree_features,
)
from boneage_roi.fusion.intervals import KNOTS, Intervals  # noqa: E402
from boneage_roi.fusion.model import Committee, FeatureConnectedLayer  # noqa: E402
from boneage_roi.fusion.train import COUNTERWEIGHT, FEW, CrossFitted  # noqa: E402
from boneage_roi.regions import REGIONS  # noqa: E402
from boneage_roi.values import MONTHLY, RegionReading  # noqa: E402

ALL = tuple(REGIONS)
COUNT, WIDTH = len(ALL), 8
MONTHS = np.arange(MONTHLY.bins)


def gaussian(age: float, sigma: float = 10.0) -> np.ndarray:
    peak = np.exp(-0.5 * ((MONTHS - age) / sigma) ** 2)
    return (peak / peak.sum()).astype(np.float32)


def reading(region: str, age: float, sigma: float = 10.0) -> RegionReading:
    features = np.random.default_rng(int(age)).random(WIDTH, np.float32)
    return RegionReading(region, gaussian(age, sigma), features, crops=1, confidence=0.8)


def hands_of(count: int, seed: int = 0) -> HandReadings:
    """Hands of many ages, whose regions agree more or less."""
    random = np.random.default_rng(seed)
    ages, spreads = random.uniform(60, 180, count), random.uniform(1, 15, count)
    said = ages[:, None] + random.normal(0, spreads, (COUNT, count)).T
    return stack_readings(
        [
            ([reading(region, age) for region, age in zip(ALL, hand, strict=True)], "M" if row % 2 else "F")
            for row, hand in enumerate(said)
        ],
        ALL,
    )


def output(layer: torch.nn.Module, hands: HandReadings) -> np.ndarray:
    with torch.no_grad():
        return layer.eval()(*(torch.from_numpy(array) for array in hands.network_inputs.values())).numpy()


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


def test_moments_and_disagreement() -> None:
    mean, spread = moments(np.stack([gaussian(100, 5), gaussian(60, 12)]))
    np.testing.assert_allclose(mean, [100, 60], atol=0.05)
    np.testing.assert_allclose(spread, [5, 12], atol=0.1)
    hands = stack_readings([([reading("hand", 90), reading("carpal", 110)], "M")], ALL)
    np.testing.assert_allclose(disagreement(hands), [10], atol=0.05)


def test_trees_see_that_a_region_is_absent() -> None:
    hands = stack_readings([([reading("hand", 90)], "M"), ([reading(region, 90) for region in REGIONS], "F")], ALL)
    seen = tree_features(hands, np.stack([gaussian(90), gaussian(90)]))
    by_region = seen[:, :-3].reshape(2, COUNT, -1)
    assert (by_region[0, 1:] == ABSENT).all()
    assert (by_region[1] != ABSENT).all()
    np.testing.assert_allclose(by_region[0, 0], by_region[1, 0])
    assert seen[:, -1].tolist() == [1, 0]


def test_the_trees_also_get_the_mean_error_of_each_sex_and_age_band() -> None:
    hands = hands_of(400)
    said = np.stack([gaussian(age) for age in np.linspace(70, 170, 400)])
    ages = moments(said)[0]
    girls = (hands.sex == 0) & (ages > 140) & (ages < 160)
    true = (ages + 6 * girls).astype(np.float32)
    fitted = CrossFitted(Committee([]), hands, true, said, tree_features(hands, said))
    band = (hands.sex == 0) & (true >= 132) & (true < 168)
    mean = 6 * girls.sum() / (band.sum() + FEW)
    np.testing.assert_allclose(fitted.corrections[band], 6 * girls[band] + COUNTERWEIGHT * mean, atol=0.01)
    np.testing.assert_allclose(fitted.corrections[hands.sex == 1], 0, atol=0.01)


@pytest.mark.parametrize("coverage", [0.8, 0.9])
def test_intervals_cover_as_many_new_hands_as_they_say(coverage: float) -> None:
    """Errors grow with the disagreement of the regions, and boys' are larger; the new hands are others."""
    random = np.random.default_rng(4)
    hands, new = hands_of(1500, seed=1), hands_of(1500, seed=2)
    fused, new_fused = (some.distributions.mean(axis=1) for some in (hands, new))
    errors = np.abs(random.normal(0, 2 + disagreement(hands) + 4 * hands.sex)).astype(np.float32)
    new_errors = np.abs(random.normal(0, 2 + disagreement(new) + 4 * new.sex))
    intervals = fit_intervals(hands, fused, errors, coverage)
    widths = intervals.half_width(new, new_fused)
    assert (new_errors <= widths).mean() == pytest.approx(coverage, abs=0.03)
    doubtful = disagreement(new) > np.median(disagreement(new))
    for part in (doubtful, ~doubtful, new.sex == 0, new.sex == 1):
        assert (new_errors <= widths)[part].mean() == pytest.approx(coverage, abs=0.05)
    assert widths[doubtful].mean() > 1.3 * widths[~doubtful].mean()


def test_no_interval_is_narrower_than_the_narrowest() -> None:
    hands = hands_of(20)
    intervals = Intervals(0.9, 1.0, narrowest=6.0, weights=(0.0,) * (2 + 2 * len(KNOTS)))
    np.testing.assert_allclose(intervals.half_width(hands, hands.distributions.mean(axis=1)), 6)


def test_the_half_width_is_the_factor_times_what_the_weights_give() -> None:
    hands = hands_of(20)
    fused = hands.distributions.mean(axis=1)
    weights = (1.0, 0.5, *(3.0,) * 14)
    plain, wider = (Intervals(0.9, factor, 0.0, weights).half_width(hands, fused) for factor in (1.0, 1.5))
    expected = moments(fused)[1] + 0.5 * disagreement(hands) + 3  # a hand's shares in its knots add up to one
    np.testing.assert_allclose(plain, expected, rtol=1e-4)
    np.testing.assert_allclose(wider, 1.5 * plain, rtol=1e-5)


def test_the_first_knots_are_those_of_girls_and_they_lie_at_their_ages() -> None:
    ages = (18.0, 72.0, 126.0, 220.0)
    said = [([reading(region, age, 2.0) for region in ALL], sex) for sex in ("F", "M") for age in ages]
    hands = stack_readings(said, ALL)
    knots = tuple(float(knot) for knot in KNOTS)
    girls = Intervals(0.9, 1.0, 0.0, (0.0, 0.0, *knots, *(0.0,) * 7)).half_width(hands, hands.distributions[:, 0])
    boys = Intervals(0.9, 1.0, 0.0, (0.0, 0.0, *(0.0,) * 7, *knots)).half_width(hands, hands.distributions[:, 0])
    np.testing.assert_allclose(girls, [*ages, 0, 0, 0, 0], atol=0.3)
    np.testing.assert_allclose(boys, [0, 0, 0, 0, *ages], atol=0.3)


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
def test_intervals_of_alike_hands_cover_just_the_share_that_was_asked_for(coverage: float) -> None:
    """Where nothing tells one hand from another, the half width is the errors' own quantile, and no point lower."""
    hands = stack_readings([([reading(region, 100.0) for region in ALL], "F")] * 400, ALL)
    errors = np.random.default_rng(0).permutation(np.linspace(0.05, 20, 400)).astype(np.float32)
    fused = hands.distributions.mean(axis=1)
    intervals = fit_intervals(hands, fused, errors, coverage)
    covered = float((errors <= intervals.half_width(hands, fused) + 1e-4).mean())
    assert coverage - 0.006 <= covered <= coverage + 0.018
    assert intervals.coverage == coverage


def test_intervals_come_back_from_their_file(tmp_path: Path) -> None:
    weights = tuple(0.5 * row for row in range(2 + 2 * len(KNOTS)))
    intervals = Intervals(coverage=0.9, factor=1.7, narrowest=2.5, weights=weights)
    (tmp_path / "intervals.json").write_text(intervals.to_json())
    assert Intervals.read(tmp_path / "intervals.json") == intervals


@pytest.mark.parametrize(
    "content",
    [
        *("", "{", "[1, 2]", '{"coverage": 0.9}', '{"coverage": "wide"}', '{"a": 1}', "\x00\xff"),
        '{"coverage": 0.9, "factor": 1, "narrowest": 1, "weights": [1]}',
    ],
)
def test_a_damaged_intervals_file_is_an_input_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "intervals.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError, match=r"intervals\.json.*damaged"):
        Intervals.read(path)
    with pytest.raises(InputError):
        Intervals.read(tmp_path / "missing.json")
