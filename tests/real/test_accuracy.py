"""The tables of docs/reference/accuracy.md, made from a tiny run."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import ablations, accuracy
from boneage_roi.errors import InputError
from boneage_roi.fusion.features import moments
from boneage_roi.fusion.train import load_hands
from boneage_roi.regions import REGIONS
from boneage_roi.reports.evaluate import evaluate
from boneage_roi.runs.run import Run


def rows_under(text: str, title: str) -> dict[str, list[str]]:
    """The rows of the table under a heading, by their first cell."""
    section = text.split(f"## {title}\n")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    return {row[0]: row[1:] for row in rows[2:]}


def test_every_table_is_there(copied_run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copied_run.write_config(copied_run.config.model_copy(update={"start": "default"}))
    ablations.main(copied_run.path, "carpal", epochs=1, only=["control", "no-sex"])
    assert copied_run.metrics("ablations/no-sex/regions/carpal")
    config = Run(copied_run.path / "ablations" / "no-sex").config
    assert config.regions["hand"] == copied_run.config.regions["hand"]
    assert not config.regions["carpal"].sex
    assert config.start is None
    report = evaluate(copied_run.path / "manifest.csv", copied_run.bundle, split="test", output=tmp_path, worst=0)
    capsys.readouterr()

    accuracy.main(copied_run.path, against=tmp_path / "predictions.csv")
    text = capsys.readouterr().out
    hands, ages = load_hands(copied_run, "test")
    error = np.abs(moments(hands.distributions[:, 0])[0] - ages).mean()
    assert rows_under(text, "Each region alone")["hand"][1] == f"{error:.2f}"
    ways = rows_under(text, "Ways to fuse")
    assert len(ways) == 6
    assert ways[f"{copied_run.config.fusion.kind} (shipped)"][2] == ""
    assert ways["ridge"][2] != ""
    assert len(rows_under(text, "The shipped fusion without")) == 1 + 6 + 15
    assert set(rows_under(text, "One thing switched off in the `carpal` network")) == {"control", "no-sex"}
    likeness = rows_under(text, "How alike the regions err")
    assert [likeness[region][column] for column, region in enumerate(REGIONS)] == ["1.00"] * len(REGIONS)
    assert len(rows_under(text, "If only the ages were named that the rater writes")) == 2
    assert set(rows_under(text, "Against the earlier bundle")) == {*REGIONS, "fused"}
    everyone = rows_under(text, "By sex and age")["all"]
    assert [everyone[0], everyone[6]] == [f"{len(ages):,}", f"{len(load_hands(copied_run)[1]):,}"]
    shipped = rows_under(text, "The shipped bundle")["with test-time augmentation"]
    measured = json.loads((copied_run.bundle / "manifest.json").read_text())["metrics"]
    assert float(shipped[1]) == pytest.approx(measured["test"]["all"]["mae"], abs=0.006)
    assert float(shipped[1]) == pytest.approx(report.errors.mae.iloc[0], abs=0.5)  # evaluate finds other boxes


@pytest.mark.parametrize(
    "content", ["", "id\n1\n", "a table, that\nis, longer, in, later, rows\n", "id,bone_age_months\nx,1\n"]
)
def test_a_table_that_evaluate_did_not_write_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "table.csv").write_text(content)
    with pytest.raises(InputError, match=r"not the predictions\.csv"):
        accuracy.read_predictions(tmp_path / "table.csv", ["1"])


def test_only_ages_that_the_rater_writes_are_named() -> None:
    known = pd.DataFrame({"sex": ["F"] * 40 + ["M"] * 10, "boneage": [100.0] * 30 + [112.0] * 10 + [106.0] * 10})
    months = np.array([103, 110, 103], np.float32)
    distributions = np.exp(-0.5 * ((np.arange(240) - 90) / 8) ** 2)[None].repeat(3, 0)  # ten to twenty months off
    distributions /= distributions.sum(1, keepdims=True)
    named = accuracy.rater_ages(known, np.array([0, 0, 1], np.float32), distributions, months)
    assert named.tolist() == [100, 112, 106]
