import numpy as np
import pandas as pd
import pytest

from boneage_roi.metrics import error_statistics, error_table, paired_difference


@pytest.fixture
def four_hands() -> pd.DataFrame:
    """Errors +6, -18, +30 and one failed hand."""
    return pd.DataFrame(
        {
            "boneage": [100.0, 120.0, 20.0, 50.0],
            "bone_age_months": [106.0, 102.0, 50.0, np.nan],
            "lower": [90.0, 90.0, 40.0, np.nan],
            "upper": [120.0, 110.0, 60.0, np.nan],
            "sex": ["F", "M", "F", "M"],
            "carpal_age": [101.0, np.nan, 23.0, np.nan],
        }
    )


def test_statistics_are_those_computed_by_hand() -> None:
    result = error_statistics([100, 120, 20], [106, 102, 50], [90, 90, 40], [120, 110, 60])
    values = {name: interval.value for name, interval in result.items()}
    expected = {"mae": 18, "rmse": np.sqrt(420), "bias": 6, "within_12": 1 / 3, "within_24": 2 / 3}
    assert values == pytest.approx(expected | {"coverage": 1 / 3, "width": 70 / 3})


def test_limits_of_12_and_24_months_count_as_within() -> None:
    result = error_statistics([100, 100], [112, 76])
    assert (result["within_12"].value, result["within_24"].value) == (0.5, 1.0)


def test_intervals_hold_the_true_value_as_often_as_they_say() -> None:
    rng = np.random.default_rng(1)
    held = [error_statistics(np.zeros(80), rng.normal(2, 10, 80))["bias"] for _ in range(200)]
    assert 0.88 <= np.mean([low <= 2 <= high for _, low, high in held]) <= 0.99


def test_interval_width_agrees_with_the_standard_error() -> None:
    errors = np.random.default_rng(2).normal(0, 10, 1500)
    _, low, high = error_statistics(np.zeros(1500), errors)["bias"]
    assert high - low == pytest.approx(2 * 1.96 * errors.std() / np.sqrt(1500), rel=0.08)


def test_the_same_predictions_give_the_same_intervals() -> None:
    errors = np.random.default_rng(3).normal(0, 10, 300)
    assert error_statistics(np.zeros(300), errors)["rmse"] == error_statistics(np.zeros(300), errors)["rmse"]


def test_table_has_a_row_a_group_and_counts_failures(four_hands: pd.DataFrame) -> None:
    table = error_table(four_hands).set_index(["group", "level"])
    assert list(table.loc[("overall", "all"), ["n", "found", "mae"]]) == [3, 0.75, 18]
    assert list(table.loc[("sex", "F"), ["n", "mae", "bias"]]) == [2, 18, 18]
    assert table.loc[("age band", "96-132"), "mae"] == 12
    assert table.loc[("sex x age band", "M 96-132"), "bias"] == -18
    assert ("sex x age band", "M 24-60") not in table.index


def test_a_region_is_measured_over_the_hands_where_it_was_found(four_hands: pd.DataFrame) -> None:
    table = error_table(four_hands).set_index(["group", "level"])
    assert list(table.loc[("region", "carpal"), ["n", "found", "mae"]]) == [2, 0.5, 2]
    assert table["coverage"].isna()[("region", "carpal")]


def test_a_band_holds_its_lower_edge(four_hands: pd.DataFrame) -> None:
    four_hands.loc[0, "boneage"] = 96.0
    four_hands.loc[1, "boneage"] = 240.0
    table = error_table(four_hands).set_index(["group", "level"])
    assert table.loc[("age band", "96-132"), "n"] == 1
    assert table.loc[("age band", "204-240"), "n"] == 1


def test_all_hands_failed_still_gives_a_table(four_hands: pd.DataFrame) -> None:
    table = error_table(four_hands.assign(bone_age_months=np.nan, carpal_age=np.nan))
    assert table["n"].tolist() == [0, 0]
    assert table["mae"].isna().all()


def test_paired_difference_sees_what_unpaired_intervals_cannot() -> None:
    errors = np.random.default_rng(4).normal(0, 20, 400)
    worse = errors + np.sign(errors)
    value, low, high = paired_difference(worse, errors)
    assert value == pytest.approx(1)
    assert low == pytest.approx(1)
    assert high == pytest.approx(1)
    assert paired_difference(errors, errors) == (0, 0, 0)
