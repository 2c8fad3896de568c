import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import cv2
import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from boneage_roi.cli.terminal import report_lines
from boneage_roi.errors import InputError
from boneage_roi.pipeline.bundle import Bundle
from boneage_roi.pipeline.manifest import BundleManifest
from boneage_roi.reports import evaluate as module
from boneage_roi.reports import plots
from boneage_roi.reports.evaluate import evaluate
from boneage_roi.reports.plots import PLOTS, draw_plots
from boneage_roi.values import Analysis, BoneAge, HandFrame, HandMask, Radiograph, RegionBox, RegionReading, Sex
from tests.pictures import read_picture


class FakePredictor:
    """Reads an image's mean grey value as its bone age; images darker than 10 have no hand."""

    seen: list[str] = []  # noqa: RUF012 - counted over all predictors of a test

    def __init__(self, bundle: object, *, tta: bool = True) -> None:
        manifest = SimpleNamespace(name="fake", aspect=None)
        self.bundle = Bundle(cast(Path, bundle), cast(BundleManifest, manifest))
        self.provider = "cpu"
        self.regions = ("hand", "carpal")

    def analyse(self, radiograph: Radiograph) -> Analysis:
        mask = HandMask(np.ones(radiograph.pixels.shape, np.bool_), (36, 60), (36, 30), 1)
        frame = HandFrame(np.zeros((64, 64), np.uint8), np.eye(2, 3))
        return Analysis(radiograph, mask, frame, (RegionBox("carpal", (10, 10, 40, 40), 0.9),))

    def read(self, analysis: Analysis, sex: Sex | None = None) -> BoneAge:
        radiograph = analysis.radiograph
        self.seen.append(Path(radiograph.source).name)
        age = 50 + float(Path(radiograph.source).stem)
        if age > 90:
            raise InputError(f"{radiograph.source}: no hand found")
        bins = np.zeros(240, np.float32)
        bins[int(age) + 2] = 1
        readings = [RegionReading("hand", bins, np.zeros(4, np.float32), 1)]
        if age > 60:
            readings.append(RegionReading("carpal", np.roll(bins, 7), np.zeros(4, np.float32), 1))
        return BoneAge(age, age - 5, age + 5, sex or radiograph.sex, tuple(readings), "fake", ("inverted",))

    def fuse(self, readings: Sequence[RegionReading], sex: Sex) -> tuple[float, float, float]:
        return readings[0].expected_age, 0.0, 0.0


@pytest.fixture
def manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Hands 0, 10, 20 and 30 (errors 0, -2, +4, -8) and hand 60, in which no hand is found."""
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    monkeypatch.setattr(plots, "draw_plots", lambda predictions: [])  # slow, and tested by itself
    (bundle / "manifest.json").write_text("{}")
    FakePredictor.seen = []
    monkeypatch.setattr(module, "BoneAgeReader", lambda _, **options: FakePredictor(bundle))
    picture = np.random.default_rng(0).integers(0, 255, (80, 72), dtype=np.uint8)
    lines = ["path,sex,boneage,split"]
    for name, error, split in ((0, 0, "test"), (10, -2, "test"), (20, 4, "test"), (30, -8, "train"), (60, 0, "test")):
        cv2.imwrite(str(tmp_path / f"{name}.png"), picture)
        lines.append(f"{name}.png,{'M' if name else 'F'},{50 + name - error},{split}")
    path = tmp_path / "hands.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_report_counts_every_hand_and_names_the_failed_one(manifest: Path, tmp_path: Path) -> None:
    report = evaluate(manifest, None, output=tmp_path / "out")
    assert report.predictions["id"].tolist() == ["0", "10", "20", "30", "60"]
    overall = report.errors.iloc[0]
    assert (overall["n"], overall["found"], overall["mae"], overall["bias"]) == (4, 0.8, 3.5, -1.5)
    assert (overall["coverage"], overall["width"]) == (0.75, 10)
    written = json.loads((tmp_path / "out/report.json").read_text())
    assert (written["hands"], written["predicted"]) == (5, 4)
    assert "no hand found" in written["failed"][0]["message"]
    hand = report.errors[report.errors["level"] == "hand"].iloc[0]
    assert (hand["n"], hand["bias"]) == (4, 0.5)


def test_report_files_are_there(manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plots, "draw_plots", draw_plots)
    report = evaluate(manifest, None, output=tmp_path / "out")
    table = pd.read_csv(tmp_path / "out/report.csv")
    assert table["mae"].tolist() == pytest.approx(report.errors["mae"].tolist(), nan_ok=True)
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == sorted(PLOTS)


def test_only_the_split_asked_for(manifest: Path, tmp_path: Path) -> None:
    assert evaluate(manifest, None, split="train", output=tmp_path / "out").predictions["id"].tolist() == ["30"]
    assert len(evaluate(manifest, None, split="test", output=tmp_path / "two", limit=2).predictions) == 2


def test_a_stopped_evaluation_goes_on(manifest: Path, tmp_path: Path) -> None:
    whole = evaluate(manifest, None, output=tmp_path / "out").predictions
    path = tmp_path / "out/predictions.csv"
    lines = path.read_text().splitlines()
    path.unlink()
    (tmp_path / "out/predictions.csv.partial").write_text(
        "\n".join(lines[:2]) + "\n" + lines[2][:30]
    )  # killed while it wrote the second hand
    FakePredictor.seen = []
    again = evaluate(manifest, None, output=tmp_path / "out", worst=0).predictions
    assert FakePredictor.seen == ["10.png", "20.png", "30.png", "60.png"]
    pd.testing.assert_frame_equal(again, whole)


def test_another_bundle_reads_all_hands_again(manifest: Path, tmp_path: Path) -> None:
    evaluate(manifest, None, output=tmp_path / "out")
    (tmp_path / "bundle/manifest.json").write_text('{"name": "other"}')
    FakePredictor.seen = []
    evaluate(manifest, None, output=tmp_path / "out", worst=0)
    assert len(FakePredictor.seen) == 5


def test_printed_report_shows_errors_and_failures(manifest: Path, tmp_path: Path) -> None:
    console = Console(record=True, width=150)
    for line in report_lines(evaluate(manifest, None, output=tmp_path / "out")):
        console.print(line, soft_wrap=True)
    text = console.export_text()
    assert "5 hands, 4 predicted, 1 failed" in text
    overall = next(line for line in text.splitlines() if line.split()[:1] == ["all"])
    assert "3.50" in overall.split()
    assert "60.png: no hand found" in text
    assert "nan" not in text
    assert f"Worst hands (4): {tmp_path / 'out/worst.csv'}, drawn in worst/ beside it" in text


def test_worst_hands_are_listed_and_drawn(manifest: Path, tmp_path: Path) -> None:
    assert len(evaluate(manifest, None, output=tmp_path / "out", worst=2).worst) == 2
    table = pd.read_csv(tmp_path / "out/worst.csv", dtype={"id": str})
    first = table.iloc[0]
    assert first[["rank", "id", "sex", "boneage", "flags"]].tolist() == [1, "30", "M", 88, "inverted"]
    assert first[["bone_age_months", "error", "lower", "upper"]].tolist() == [80, -8, 75, 85]
    assert first[["hand_age", "carpal_age", "regions_spread"]].tolist() == [82, 89, 7]
    assert table["error"].tolist() == [-8, 4]
    assert table["overlay"].tolist() == ["01-30.png", "02-20.png"]
    assert pictures(tmp_path / "out") == ["01-30.png", "02-20.png"]
    picture = read_picture(tmp_path / "out/worst/01-30.png")
    assert picture.shape[0] == 900  # the radiograph enlarged, with the legend beside it
    assert picture.shape[1] > 72 * 900 / 80


def test_earlier_pictures_are_replaced_and_nothing_else(manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    evaluate(manifest, None, output=out)
    (out / "worst/notes.txt").write_text("mine")
    evaluate(manifest, None, output=out, worst=1)
    assert pictures(out) == ["01-30.png", "notes.txt"]
    (out / "worst/notes.txt").unlink()
    assert evaluate(manifest, None, output=out, worst=0).worst.empty
    assert not (out / "worst.csv").exists()
    assert not (out / "worst").exists()


def test_a_hand_whose_image_is_gone_has_failed(manifest: Path, tmp_path: Path) -> None:
    """Its old prediction may be another image's."""
    evaluate(manifest, None, output=tmp_path / "out")
    (tmp_path / "30.png").unlink()
    report = evaluate(manifest, None, output=tmp_path / "out", worst=2)
    assert report.failures["id"].tolist() == ["30", "60"]
    assert pictures(tmp_path / "out") == ["01-20.png", "02-10.png"]


def test_no_hand_is_read_twice_for_its_picture(manifest: Path, tmp_path: Path) -> None:
    evaluate(manifest, None, output=tmp_path / "out", worst=2)
    assert sorted(FakePredictor.seen) == ["0.png", "10.png", "20.png", "30.png", "60.png"]


def test_a_known_hand_without_a_picture_is_drawn(manifest: Path, tmp_path: Path) -> None:
    evaluate(manifest, None, output=tmp_path / "out", worst=0)
    FakePredictor.seen = []
    evaluate(manifest, None, output=tmp_path / "out", worst=1)
    assert FakePredictor.seen == ["60.png", "30.png"]
    assert pictures(tmp_path / "out") == ["01-30.png"]


def test_without_an_output_nothing_is_written(
    manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(tmp_path.rglob("*"))
    report = evaluate(manifest, None, worst=2)
    assert sorted(tmp_path.rglob("*")) == before
    assert report.folder is None
    assert report.worst["id"].tolist() == ["30", "20"]
    assert report.predictions["bone_age_months"].tolist()[:4] == [50, 60, 70, 80]
    assert capsys.readouterr() == ("", "")


def test_a_limit_draws_at_random_with_a_seed(manifest: Path) -> None:
    drawn = [tuple(evaluate(manifest, None, limit=2, seed=seed).predictions["id"]) for seed in range(8)]
    assert len(set(drawn)) > 1
    assert all(len(ids) == 2 for ids in drawn)
    assert drawn[3] == tuple(evaluate(manifest, None, limit=2, seed=3).predictions["id"])


def test_progress_is_told(manifest: Path) -> None:
    told: list[tuple[str, int, int]] = []
    evaluate(manifest, None, progress=lambda *state: told.append(state))
    assert told == [("reading hands", done, 5) for done in range(6)]


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("../../etc/x", "01-.._.._etc_x.png"),
        ("C:\\hands\\é 7*", "01-C_hands_7_.png"),
        ("a" * 200 + "-7", f"01-{'a' * 98}-7.png"),
    ],
)
def test_any_id_gives_a_safe_file_name(manifest: Path, tmp_path: Path, name: str, file: str) -> None:
    manifest.write_text(f"id,path,sex,boneage\n{name},30.png,M,50\n")
    evaluate(manifest, None, output=tmp_path / "out")
    assert pictures(tmp_path / "out") == [file]


def pictures(report: Path) -> list[str]:
    return sorted(path.name for path in (report / "worst").iterdir() if not path.name.startswith("."))


@pytest.mark.parametrize(
    ("content", "split", "message"),
    [
        ("path,sex\n0.png,M\n", None, "no boneage"),
        ("path,sex,boneage\n0.png,M,50\n10.png,M,\n", None, "1 of 2 hands have no boneage .the first is 10"),
        ("path,sex,boneage\n0.png,M,50\n", "test", "no `split` column"),
        ("path,sex,boneage,split\n0.png,M,50,train\n", "test", "no hand with split 'test'; the splits are train"),
    ],
)
def test_a_manifest_that_cannot_be_used(
    manifest: Path, tmp_path: Path, content: str, split: str | None, message: str
) -> None:
    manifest.write_text(content)
    with pytest.raises(InputError, match=message):
        evaluate(manifest, None, split=split, output=tmp_path / "out")
