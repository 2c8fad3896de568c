"""Two periods compared: a shift that is there is found, and none where there is none."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import boneage_roi as br
import boneage_roi.cli.root  # registers the commands
from boneage_roi.cli.common import app
from boneage_roi.errors import InputError

REGIONS = ("hand", "carpal", "phalanx")


def readings(hands: int, seed: int, **changes: float) -> pd.DataFrame:
    """A table as a prediction writes it, of made-up readings; ``changes`` move what they name."""
    random, change = np.random.default_rng(seed), {"rejected": 0.03, "warned": 0.08, "girls": 0.45, **changes}
    age = random.uniform(24, 200, hands)
    months = age + random.normal(change.get("ahead", 0), 12, hands)
    half = change.get("width", 1.0) * random.normal(14, 2, hands)
    rejected = random.random(hands) < change["rejected"]
    status = np.where(rejected, "rejected", np.where(random.random(hands) < 0.005, "error", "ok"))
    read = status == "ok"
    table = {
        "path": [f"{number}.png" for number in range(hands)],
        "status": status,
        "bone_age_months": np.where(read, months, np.nan),
        "lower": np.where(read, months - half, np.nan),
        "upper": np.where(read, months + half, np.nan),
        "sex": np.where(random.random(hands) < change["girls"], "F", "M"),
        **{f"{name}_age": np.where(read, months + random.normal(0, 6, hands), np.nan) for name in REGIONS},
        "chronological_age_months": age,
        "difference_months": np.where(read, months - age, np.nan),
        "quality": np.where(read, np.where(random.random(hands) < change["warned"], "warning", "ok"), "rejected"),
        "bundle": np.where(read, "default", ""),
        **{
            f"measure_{name}": change.get(name, 1.0) * random.lognormal(0, 0.3, hands)
            for name in ("landmarks", "second_hand", "size", "forearm", "edge", "contrast", "noise", "blocks")
        },
        "measure_clipped": np.where(random.random(hands) < 0.9, 0.0, random.random(hands)),  # most are alike
    }
    return pd.DataFrame(table)


def test_like_periods_have_moved_in_one_of_twenty_comparisons_at_the_most() -> None:
    alarms = sum(bool(br.drift(readings(300, 2 * seed + 1), readings(600, 2 * seed)).moved) for seed in range(60))
    assert alarms <= 7  # of 60 that each have a chance of 5 %, more than 7 have one of 1 %


@pytest.mark.parametrize(
    ("change", "quantity"),
    [
        ({"rejected": 0.12}, "rejected"),
        ({"warned": 0.2}, "warned"),
        ({"width": 1.15}, "interval width"),
        ({"noise": 1.3}, "noise"),
        ({"contrast": 0.8}, "contrast"),
        ({"ahead": 6.0}, "bone age minus age"),
        ({"girls": 0.6}, "girls"),
    ],
)
def test_a_shift_is_found_and_named_alone(change: dict[str, float], quantity: str) -> None:
    found = br.drift(readings(500, 1, **change), readings(2000, 0))
    assert found.moved == (quantity,)
    assert found.verdict.startswith(f"moved: {quantity} ")
    row = found.table.set_index("quantity").loc[quantity]
    assert row["difference_low"] <= row["difference"] <= row["difference_high"]
    assert row["difference_low"] > 0 or row["difference_high"] < 0


def test_what_is_certain_but_small_has_not_moved() -> None:
    found = br.drift(readings(40_000, 1, noise=1.03), readings(40_000, 0))
    noise = found.table.set_index("quantity").loc["noise"]
    assert noise["p"] < 0.001
    assert found.moved == ()
    assert found.verdict == "nothing moved: 18 quantities of 40,000 hands against 40,000"


def test_intervals_hold_what_they_say() -> None:
    tables = [br.drift(readings(200, 2 * seed + 1), readings(200, 2 * seed)).table for seed in range(40)]
    both = pd.concat(tables)
    shares = both[both["unit"] == "share"]
    assert ((shares["difference_low"] <= 0) & (shares["difference_high"] >= 0)).mean() > 0.9
    rejected = both[both["quantity"] == "rejected"]
    assert 0.88 < ((rejected["reference_low"] <= 0.03) & (rejected["reference_high"] >= 0.03)).mean() <= 1
    noise = both[both["quantity"] == "noise"]
    assert 0.85 < ((noise["difference_low"] <= 0) & (noise["difference_high"] >= 0)).mean() <= 1


def test_the_command_tells_writes_and_ends_with_3(tmp_path: Path) -> None:
    new, old = tmp_path / "new.csv", tmp_path / "old.csv"
    readings(400, 1, noise=1.4).to_csv(new, index=False)
    readings(400, 0).to_csv(old, index=False)
    arguments = ["drift", str(new), "--reference", str(old), "--output", str(tmp_path / "out")]
    ran = CliRunner().invoke(app, arguments)
    assert ran.exit_code == 3, ran.output
    assert "moved: noise " in ran.output
    assert list(pd.read_csv(tmp_path / "out/drift.csv").query("moved")["quantity"]) == ["noise"]
    assert (tmp_path / "out/drift.png").read_bytes().startswith(b"\x89PNG")
    ran = CliRunner().invoke(app, ["drift", str(old), "--reference", str(old)])
    assert ran.exit_code == 0
    assert "nothing moved" in ran.output


def test_older_tables_are_compared_by_what_they_have() -> None:
    old = readings(300, 0).drop(columns=[f"measure_{name}" for name in ("noise", "contrast")])
    old["bundle"] = "another"
    found = br.drift(readings(300, 1), old)
    assert not {"noise", "contrast"} & set(found.table["quantity"])
    assert "noise" in found.notes[0]
    assert "another bundle (default; the reference by another)" in found.notes[1]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pd.DataFrame({"a": range(50)}), "did not write this table"),
        (readings(10, 0), "10 rows; at least 20"),
        ("none.csv", "none.csv: no such file"),
        ("hands.txt", "give a .csv or .parquet"),
    ],
)
def test_what_is_no_such_table_is_one_line(table: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        br.drift(table, readings(50, 0))


def test_a_table_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "drift.csv"
    readings(50, 0).to_csv(path, index=False)
    before = path.read_bytes()
    with pytest.raises(InputError, match="is an input"):
        br.drift(path, readings(50, 1), output=tmp_path, overwrite=True)
    assert path.read_bytes() == before
