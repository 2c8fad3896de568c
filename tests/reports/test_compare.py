"""Systems side by side on the same hands."""

import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

import boneage_roi as br
from boneage_roi.errors import InputError
from boneage_roi.pipeline.bundle import DEFAULT_BUNDLE
from boneage_roi.reports.compare import cells, markdown
from tests.bundles import EXAMPLES, copy_with_fusion, needs_bundle
from tests.training.runs import config

pytestmark = needs_bundle


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped bundle under another name, and without its smallest corrections."""
    started = {"training_seconds": 7200, "regions": {"hand": {"started_from": "imagenet"}}}
    metrics = br.Bundle.load(DEFAULT_BUNDLE).manifest.metrics | started
    return copy_with_fusion(tmp_path_factory.mktemp("other") / "bundle", "mean", name="other", metrics=metrics)


@pytest.fixture(scope="module")
def compared(other: Path, tmp_path_factory: pytest.TempPathFactory) -> br.Comparison:
    output = tmp_path_factory.mktemp("out") / "comparison"
    return br.compare(["default", other], EXAMPLES / "manifest.csv", split=None, output=output, limit=3, tta=False)


def test_every_system_has_a_row_with_errors_sizes_and_times(compared: br.Comparison) -> None:
    table = compared.table.set_index("name")
    assert list(table.index) == [br.Bundle.load().manifest.name, "other"]
    assert (table["hands"] == 3).all()
    first, second = table.iloc[0], table.iloc[1]
    assert first["mae_low"] <= first["mae"] <= first["mae_high"]
    assert first["megabytes"] > second["megabytes"] > 1
    assert first["parameters"] == second["parameters"] > 1e6
    assert second["milliseconds"] > 0
    assert np.isnan(first["training_hours"])
    assert (second["training_hours"], second["started_from"]) == (2, "imagenet")


def test_the_difference_is_that_of_the_same_hands(compared: br.Comparison) -> None:
    first, second = (report.predictions for report in compared.reports.values())
    errors = [np.abs(one["bone_age_months"] - one["boneage"]) for one in (first, second)]
    row = compared.table.iloc[1]
    assert row["difference"] == pytest.approx(float((errors[1] - errors[0]).mean()), abs=1e-6)
    assert row["difference_low"] <= row["difference"] <= row["difference_high"]
    assert np.isnan(compared.table["difference"].iloc[0])


def test_its_files_hold_the_table_and_a_plot(compared: br.Comparison) -> None:
    assert compared.folder is not None
    assert len(pd.read_csv(compared.folder / "comparison.csv")) == 2
    assert (compared.folder / "comparison.png").read_bytes().startswith(b"\x89PNG")
    assert (compared.folder / "other" / "report.csv").is_file()
    page = markdown(compared.table)
    assert (compared.folder / "comparison.md").read_text(encoding="utf-8") == page
    headings, rows = cells(compared.table)
    assert all(len(row) == len(headings) for row in rows)


def test_hands_are_timed_in_the_size_that_their_table_tells(
    other: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A squashed hand in its file's own shape may be none to a system that does not measure the aspect."""
    rows = ["path,sex,boneage,width,height"]
    for name in ("girl-10y", "boy-10y"):
        hand = cv2.imread(str(EXAMPLES / f"{name}.png"))
        assert hand is not None
        assert cv2.imwrite(str(tmp_path / f"{name}.png"), cv2.resize(hand, (300, 300)))
        rows.append(f"{name}.png,F,120,{hand.shape[1]},{hand.shape[0]}")
    (tmp_path / "hands.csv").write_text("\n".join(rows))
    shapes, analyse = [], br.BoneAgeReader.analyse

    def watched(self: br.BoneAgeReader, radiograph: br.Radiograph) -> Any:
        shapes.append(radiograph.pixels.shape)
        return analyse(self, radiograph)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(br.BoneAgeReader, "analyse", watched)
    table = br.compare([other], "hands.csv", split=None, tta=False).table
    assert table["predicted"].item() == 2
    assert table["milliseconds"].item() > 0
    assert {round(height / width, 2) for height, width in shapes} == {1.25}


def test_what_cannot_be_compared_is_refused_in_a_line(other: Path, tmp_path: Path) -> None:
    manifest = EXAMPLES / "manifest.csv"
    with pytest.raises(InputError, match="nothing to compare"):
        br.compare([], manifest)
    with pytest.raises(InputError, match="neither a bundle nor a finished run"):
        br.compare([tmp_path], manifest)
    with pytest.raises(InputError, match="no run is among them"):
        br.compare([other])
    with pytest.raises(InputError, match="given twice"):
        br.compare([other, other, other], manifest)


def test_a_run_that_has_learnt_from_the_hands_is_refused(other: Path, tmp_path: Path) -> None:
    run = br_run(tmp_path / "run", other, "train")
    with pytest.raises(InputError, match="has learnt from 1 of the 1 hands"):
        br.compare([run], hands(tmp_path / "hands.csv"), split=None)


def hands(path: Path) -> Path:
    row = {"id": "h1", "path": EXAMPLES / "girl-10y.png", "sex": "F", "boneage": 120.0}
    pd.DataFrame([row]).to_csv(path, index=False)
    return path


def br_run(folder: Path, bundle: Path, split: str) -> Path:
    """A run of one hand with a finished bundle."""
    from boneage_roi.runs.run import Run

    shutil.copytree(bundle, folder / "bundle")
    Run(folder).write_config(config())
    table = pd.read_csv(hands(folder / "hands.csv")).assign(split=split, width=10, height=10)
    table.to_csv(folder / "manifest.csv", index=False)
    return folder
