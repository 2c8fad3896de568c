"""The worth of regions by developmental stage."""

import numpy as np
import pandas as pd
import pytest

from boneage_roi.pipeline.batch import Outcome
from boneage_roi.pipeline.item import Item
from boneage_roi.pipeline.reader import load
from boneage_roi.reports.stages import STAGES, stage_of, stage_table, without_row
from tests.bundles import EXAMPLES, needs_bundle


def predictions() -> pd.DataFrame:
    """Girls of 10 years and boys of 17, the carpus far off alone and needed; the hand neither."""
    hands = 40
    random = np.random.default_rng(0)
    age = np.repeat([120.0, 204.0], hands // 2)
    fused = age + random.normal(0, 3, hands)
    return pd.DataFrame(
        {
            "status": "ok",
            "sex": np.repeat(["F", "M"], hands // 2),
            "boneage": age,
            "bone_age_months": fused,
            "hand_age": age + 5,
            "carpal_age": age + 20,
            "without_hand": fused,
            "without_carpal": age + 8,
        }
    )


@pytest.mark.parametrize(
    ("age", "girl", "boy"),
    [(0, 0, 0), (24, 1, 0), (36, 1, 1), (84, 2, 1), (108, 2, 2), (156, 3, 2), (168, 3, 3), (180, 4, 3), (216, 4, 4)],
)
def test_stages_begin_at_their_edges(age: float, girl: int, boy: int) -> None:
    assert stage_of(age, "F") == STAGES[girl]
    assert stage_of(age, "M") == STAGES[boy]


def test_a_region_is_worth_what_is_lost_without_it() -> None:
    table = stage_table(predictions(), ("hand", "carpal"))
    rows = {(row["sex"], row["stage"], row["region"]): row for row in table.to_dict("records")}
    carpal = rows["F", "early and mid-puberty", "carpal"]
    girls = predictions().query("sex == 'F'")
    fused = (girls["bone_age_months"] - girls["boneage"]).abs().mean()
    assert carpal["n"] == 20
    assert carpal["mae_alone"] == pytest.approx(20)
    assert carpal["mae"] == pytest.approx(fused)
    assert carpal["worth"] == pytest.approx(8 - fused)
    assert 0 < carpal["worth_low"] < carpal["worth"] < carpal["worth_high"]
    assert rows["M", "post-puberty", "hand"]["worth"] == 0
    assert len(table) == 4


def test_hands_that_failed_or_miss_the_region_are_left_out() -> None:
    hands = predictions()
    hands.loc[0, "status"] = "rejected"
    hands.loc[1, ["carpal_age", "without_carpal"]] = np.nan
    table = stage_table(hands, ("hand", "carpal"))
    assert table[table["sex"] == "F"]["n"].tolist() == [19, 18]


@needs_bundle
def test_ages_without_each_region_are_those_of_the_other_regions() -> None:
    reader = load(tta=False)
    analysis = reader.analyse(EXAMPLES / "girl-10y.png")
    age = reader.read(analysis, "F")
    row = without_row(Outcome(Item("hand.png"), analysis, age), reader)
    assert list(row) == [f"without_{region.replace('-', '_')}" for region in reader.regions]
    others = [reading for reading in age.readings if reading.region != "radius-ulna"]
    assert row["without_radius_ulna"] == pytest.approx(reader.fuse(others, "F")[0], abs=0.01)
    assert set(without_row(Outcome(Item("hand.png"), message="damaged"), reader).values()) == {""}
