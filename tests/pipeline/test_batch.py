"""A batch gives one outcome an input, in order, and goes on after what fails."""

import csv
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import cv2
import numpy as np
import pytest

from boneage_roi.errors import InputError, RejectedError
from boneage_roi.outputs.boxes import box_rows
from boneage_roi.outputs.files import OutputFiles
from boneage_roi.outputs.pictures import PictureSink, bone_age_overlay
from boneage_roi.outputs.records import result_columns, result_record, result_row
from boneage_roi.outputs.results import result_sink
from boneage_roi.outputs.sink import opened
from boneage_roi.pipeline.batch import Outcome, analyse_files, predict_files
from boneage_roi.pipeline.inputs import list_inputs
from boneage_roi.pipeline.item import Item, filler
from boneage_roi.pipeline.reader import BoneAgeReader
from boneage_roi.quality.gate import Verdict
from boneage_roi.values import Analysis, BoneAge, HandFrame, HandMask, Radiograph, RegionBox, RegionReading

REGIONS = ("carpal", "radius-ulna")


class ToyPredictor:
    """Reads 100 months from every hand; breaks on images called ``crash``, rejects those called ``chest``."""

    regions = REGIONS
    bundle = SimpleNamespace(manifest=SimpleNamespace(finder=SimpleNamespace(regions=REGIONS)))

    def assess(self, analysis: Analysis) -> Verdict:
        return Verdict(warnings=("inverted",))

    def analyse(self, radiograph: Radiograph) -> Analysis:
        if "crash" in radiograph.source:
            raise RuntimeError("first line\nsecond line")
        mask = HandMask(np.ones(radiograph.pixels.shape, bool), (50, 80), (50, 40), 0.9)
        frame = HandFrame(np.zeros((100, 80), np.uint8), np.array([[1.0, 0, 0], [0, 1, 0]]))
        return Analysis(radiograph, mask, frame, (RegionBox("carpal", (10, 20, 30, 40), 0.9),))

    def read(self, analysis: Analysis) -> BoneAge:
        sex = analysis.radiograph.sex
        if "chest" in analysis.radiograph.source:
            raise RejectedError(analysis.radiograph.source, ("no child's hand recognised", "cut off below the wrist"))
        distribution = np.eye(240, dtype=np.float32)[90]
        reading = RegionReading("carpal", distribution, np.zeros(4, np.float32), 1)
        return BoneAge(100.0, 88.5, 111.5, sex, (reading,), "toy", ("inverted", "phalanx not found"))


def toy_reader() -> BoneAgeReader:
    return cast(BoneAgeReader, ToyPredictor())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ramp = np.linspace(0, 255, 100 * 80).reshape(100, 80).astype(np.uint8)
    for name in ("a", "b", "crash"):
        cv2.imwrite(str(tmp_path / f"{name}.png"), ramp)
    (tmp_path / "note.txt").write_text("no image")
    return tmp_path


def test_bad_inputs_become_rows_and_the_others_go_on(folder: Path) -> None:
    (folder / "broken.png").write_text("no image")
    items = list_inputs([folder / "crash.png", folder / "nowhere.png", folder / "broken.png", folder / "a.png"])
    rows = [result_row(outcome, REGIONS) for outcome in predict_files(toy_reader(), filler(sex="F")(items))]
    assert [row["status"] for row in rows] == ["error", "error", "error", "ok"]
    assert "RuntimeError: first line second line" in rows[0]["message"]
    assert "no such file" in rows[1]["message"]
    assert "not an image" in rows[2]["message"]
    assert all(tuple(row) == result_columns(REGIONS) for row in rows)


def test_row_and_json_say_the_same(folder: Path) -> None:
    (outcome,) = predict_files(toy_reader(), filler(sex="F")(list_inputs([folder / "a.png"])))
    row, record = result_row(outcome, REGIONS), result_record(outcome, REGIONS)
    assert (row["bone_age_months"], row["lower"], row["upper"], row["sex"]) == (100.0, 88.5, 111.5, "F")
    assert row["carpal_age"] == record["regions"]["carpal"] == pytest.approx(90)
    assert row["radius_ulna_age"] == ""
    assert record["regions"]["radius-ulna"] is None
    assert row["flags"] == "inverted; phalanx not found"
    assert record["flags"] == ["inverted", "phalanx not found"]
    assert row["quality"] == record["quality"] == "warning"


def test_a_rejected_image_has_reasons_and_no_age(folder: Path) -> None:
    (folder / "a.png").rename(folder / "chest.png")
    items = list_inputs([folder / "chest.png", folder / "b.png"])
    rejected, read = predict_files(toy_reader(), filler(sex="F")(items))
    row, record = result_row(rejected, REGIONS), result_record(rejected, REGIONS)
    assert row["status"] == row["quality"] == record["status"] == record["quality"] == "rejected"
    assert row["bone_age_months"] == row["carpal_age"] == ""
    assert record["bone_age_months"] is record["determination"] is None
    assert row["flags"] == "no child's hand recognised; cut off below the wrist"
    assert record["flags"] == ["no child's hand recognised", "cut off below the wrist"]
    assert row["message"] == record["message"] == f"{folder / 'chest.png'}: rejected: {row['flags']}"
    assert result_row(read, REGIONS)["status"] == "ok"


def test_a_folder_uses_its_manifest(folder: Path) -> None:
    (folder / "crash.png").unlink()
    (folder / "manifest.csv").write_text("path,sex,boneage\nb.png,male,100\n")
    items = list_inputs([folder])
    assert [(Path(item.path).name, item.sex) for item in items] == [("b.png", "M"), ("a.png", None)]
    outcomes = list(predict_files(toy_reader(), filler(sex="F")(items)))
    assert [outcome.bone_age and outcome.bone_age.sex for outcome in outcomes] == ["M", "F"]


def test_a_manifest_restores_the_aspect_of_squashed_images(folder: Path) -> None:
    (folder / "m.csv").write_text("path,sex,width,height\na.png,F,100,400\nb.png,F,,\nnowhere.png,F,1,1\n")
    items = list_inputs([folder / "m.csv"])
    assert [item.native_size for item in items] == [(100, 400), None, (1, 1)]
    assert items[0].path == str(folder / "a.png")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty", None, "no images in this folder"),
        ("m.csv", "image,sex\na.png,F\n", "no `path` column"),
        ("m.csv", "path,sex\na.png,X\n", "sex is 'X'"),
    ],
)
def test_unusable_inputs_say_why(folder: Path, name: str, content: str | None, said: str) -> None:
    if content is None:
        (folder / name).mkdir()
    else:
        (folder / name).write_text(content)
    (item,) = list_inputs([folder / name])
    assert said in item.error


def test_overlays_of_images_with_one_name_do_not_overwrite_each_other(folder: Path) -> None:
    (folder / "other").mkdir()
    (folder / "a.png").rename(folder / "other/b.png")
    items = [Item(str(folder / "b.png"), sex="F"), Item(str(folder / "other/b.png"), sex="M")]
    run(items, PictureSink(folder / "overlays", items, OutputFiles("predict"), bone_age_overlay))
    pictures = sorted((folder / "overlays").glob("*.png"))
    assert [path.name for path in pictures] == ["b-2.png", "b.png"]
    assert all(cv2.imread(str(path)) is not None for path in pictures)


def test_boxes_come_back_in_radiograph_pixels(folder: Path) -> None:
    (outcome,) = analyse_files(toy_reader(), list_inputs([folder / "a.png"]))
    (row,) = box_rows(outcome)
    assert row["region"] == "carpal"
    assert [row[name] for name in ("x1", "y1", "x2", "y2", "x3", "y3", "x4", "y4")] == [10, 20, 30, 20, 30, 40, 10, 40]


def test_a_rejected_image_keeps_what_was_found_in_it(folder: Path) -> None:
    (folder / "a.png").rename(folder / "chest.png")
    (outcome,) = predict_files(toy_reader(), list_inputs([folder / "chest.png"]))
    assert outcome.analysis is not None
    assert (outcome.status, outcome.bone_age) == ("rejected", None)
    assert bone_age_overlay(outcome) is None


def test_what_opencv_says_is_not_quoted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def analyse(self: ToyPredictor, radiograph: Radiograph) -> Analysis:
        cv2.resize(radiograph.pixels, (0, 0))
        raise AssertionError

    monkeypatch.setattr(ToyPredictor, "analyse", analyse)
    (outcome,) = predict_files(toy_reader(), list_inputs([folder / "a.png"]))
    assert outcome.message == f"{folder / 'a.png'}: OpenCV fails in resize; export the radiograph again"


def run(items: list[Item], *sinks: Any) -> None:
    with opened(sinks) as write:
        for outcome in predict_files(toy_reader(), items):
            write(outcome)


def test_every_kind_of_file_says_the_same(folder: Path) -> None:
    items = list_inputs([folder / "a.png", folder / "nowhere.png"])
    paths = [folder / "out" / name for name in ("ages.csv", "ages.json", "AGES.JSONL")]
    run(items, *(result_sink(path, REGIONS, OutputFiles("predict")) for path in paths))
    with paths[0].open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == result_columns(REGIONS)
    records = json.loads(paths[1].read_text())
    assert [json.loads(line) for line in paths[2].read_text().splitlines()] == records
    assert [row["path"] for row in rows] == [record["path"] for record in records] == [item.path for item in items]
    assert [row["carpal_age"] for row in rows] == ["90.0", ""]
    assert records[0]["regions"] == {"carpal": 90.0, "radius-ulna": None}
    assert records[1]["message"] == rows[1]["message"] != ""


def test_no_outcomes_are_valid_json(tmp_path: Path) -> None:
    run([], result_sink(tmp_path / "ages.json", REGIONS, OutputFiles("predict")))
    assert json.loads((tmp_path / "ages.json").read_text()) == []


def test_a_wrong_ending_lists_the_right_ones(tmp_path: Path) -> None:
    for name in ("ages.xlsx", "ages"):
        with pytest.raises(InputError, match=r"ends in one of \.csv, \.json, \.jsonl"):
            result_sink(tmp_path / name, REGIONS, OutputFiles("predict"))


@pytest.mark.parametrize("name", ["ages.csv", "ages.json", "ages.jsonl"])
def test_an_interrupted_file_keeps_its_rows(folder: Path, name: str) -> None:
    def interrupted() -> None:
        with opened([result_sink(folder / name, REGIONS, OutputFiles("predict"))]) as write:
            write(Outcome(Item("first.png"), message="first"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not (folder / name).exists()
    assert "first.png" in (folder / f"{name}.partial").read_text()


def test_a_folder_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"):
        result_sink(tmp_path, REGIONS, OutputFiles("predict"))
