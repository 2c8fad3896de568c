"""An evaluation never takes an old age for a new image's, and never replaces what it is given."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import cv2
import numpy as np
import pandas as pd
import pytest

from boneage_roi.errors import InputError
from boneage_roi.pipeline.bundle import Bundle
from boneage_roi.pipeline.manifest import BundleManifest
from boneage_roi.reports import plots
from boneage_roi.reports.evaluate import evaluate
from tests.reports.test_evaluate import FakePredictor, manifest  # noqa: F401  a fixture

pytestmark = pytest.mark.usefixtures("no_plots")


@pytest.fixture
def no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plots, "draw_plots", lambda predictions: [])


def read_again(manifest: Path, output: Path) -> list[str]:  # noqa: F811
    FakePredictor.seen = []
    evaluate(manifest, None, output=output, worst=0)
    return FakePredictor.seen


def test_18_1_another_image_under_the_same_name_is_read_again(manifest: Path, tmp_path: Path) -> None:  # noqa: F811
    out = tmp_path / "out"
    read_again(manifest, out)
    assert read_again(manifest, out) == ["60.png"]  # a failed hand gets another try
    cv2.imwrite(str(tmp_path / "10.png"), np.random.default_rng(1).integers(0, 255, (80, 72), dtype=np.uint8))
    assert read_again(manifest, out) == ["10.png", "60.png"]


@pytest.mark.parametrize("change", ["native size", "sex", "chronological age"])
def test_18_1_what_the_manifest_says_anew_is_read_again(manifest: Path, tmp_path: Path, change: str) -> None:  # noqa: F811
    out = tmp_path / "out"
    columns, row = {
        "native size": ("path,sex,boneage,width,height", "10.png,M,62,72,200"),
        "sex": ("path,sex,boneage", "10.png,F,62"),
        "chronological age": ("path,sex,boneage,chronological_age", "10.png,M,62,70"),
    }[change]
    manifest.write_text("path,sex,boneage\n10.png,M,62\n20.png,M,66\n")
    read_again(manifest, out)
    more = "," * (columns.count(",") - 2)
    manifest.write_text(f"{columns}\n{row}\n20.png,M,66{more}\n")
    assert read_again(manifest, out) == ["10.png"]


def test_18_1_another_version_of_the_package_reads_again(
    manifest: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read_again(manifest, tmp_path / "out")
    monkeypatch.setattr("boneage_roi.pipeline.keys.__version__", "99")
    assert len(read_again(manifest, tmp_path / "out")) == 5


def test_18_1_rows_that_lack_a_column_of_today_are_read_again(manifest: Path, tmp_path: Path) -> None:  # noqa: F811
    """As a checkout of the same version wrote them, and was stopped, before a measure was added."""
    read_again(manifest, tmp_path / "out")
    predictions = tmp_path / "out" / "predictions.csv"
    older = pd.read_csv(predictions, dtype=str).drop(columns="measure_noise")
    predictions.unlink()
    older.to_csv(f"{predictions}.partial", index=False)
    assert len(read_again(manifest, tmp_path / "out")) == 5


@pytest.mark.parametrize("change", [{"tta": False}, {"aspect": "as-is"}, {"provider": "cuda"}], ids=str)
def test_18_1_other_views_aspects_and_providers_read_again(
    manifest: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, Any],
) -> None:
    def opened(_: object, *, provider: str, **others: object) -> FakePredictor:
        reader = FakePredictor(tmp_path / "bundle")
        reader.bundle = Bundle(tmp_path / "bundle", cast(BundleManifest, SimpleNamespace(name="fake", aspect="some")))
        reader.provider = provider
        return reader

    monkeypatch.setattr("boneage_roi.reports.evaluate.BoneAgeReader", opened)
    evaluate(manifest, None, output=tmp_path / "out", worst=0)
    FakePredictor.seen = []
    evaluate(manifest, None, output=tmp_path / "out", worst=0)
    assert FakePredictor.seen == ["60.png"]  # a failed hand gets another try
    FakePredictor.seen = []
    evaluate(manifest, None, output=tmp_path / "out", worst=0, **change)
    assert len(FakePredictor.seen) == 5


def test_18_1_a_new_label_is_taken_without_reading_again(manifest: Path, tmp_path: Path) -> None:  # noqa: F811
    read_again(manifest, tmp_path / "out")
    manifest.write_text(manifest.read_text().replace("10.png,M,62", "10.png,M,100"))
    report = evaluate(manifest, None, output=tmp_path / "out")
    assert report.predictions.set_index("id")["boneage"]["10"] == 100


@pytest.mark.parametrize("name", ["predictions.csv", "report.csv", "worst.csv"])
def test_18_4_an_evaluation_of_its_own_table_is_refused(manifest: Path, tmp_path: Path, name: str) -> None:  # noqa: F811
    content = manifest.read_text()
    manifest.rename(tmp_path / name)
    for overwrite in (False, True):
        with pytest.raises(InputError, match=f"{name}: is an input"):
            evaluate(tmp_path / name, None, output=tmp_path, overwrite=overwrite)
    assert (tmp_path / name).read_text() == content


def test_18_4_a_report_of_somebody_else_stays(manifest: Path, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "out").mkdir()
    (tmp_path / "out/report.csv").write_text("mine")
    with pytest.raises(InputError, match=r"report\.csv: is there"):
        evaluate(manifest, None, output=tmp_path / "out")
    assert FakePredictor.seen == []
    assert (tmp_path / "out/report.csv").read_text() == "mine"
    evaluate(manifest, None, output=tmp_path / "out", overwrite=True)
    assert (tmp_path / "out/report.csv").read_text() != "mine"


def test_18_4_pictures_of_somebody_else_stay(manifest: Path, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "out/worst").mkdir(parents=True)
    (tmp_path / "out/worst/07-mine.png").write_text("mine")
    evaluate(manifest, None, output=tmp_path / "out")
    evaluate(manifest, None, output=tmp_path / "out", worst=0)
    assert (tmp_path / "out/worst/07-mine.png").read_text() == "mine"


def test_18_11_ids_and_paths_are_no_formulas_in_the_report(manifest: Path, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "30.png").rename(tmp_path / "=30.png")
    manifest.write_text("id,path,sex,boneage\n=1+1,20.png,M,66\n@x,10.png,M,62\n")
    for _ in range(2):  # once read, once taken from the table
        evaluate(manifest, None, output=tmp_path / "out")
        lines = (tmp_path / "out/predictions.csv").read_text().splitlines()
        assert [line.split(",")[0] for line in lines[1:]] == ["'=1+1", "'@x"]
        assert "'=1+1" in (tmp_path / "out/worst.csv").read_text()
