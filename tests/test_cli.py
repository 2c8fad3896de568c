"""The command as a user meets it: what it prints, where, and its exit code."""

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
from rich.console import Console

from boneage_roi import __version__
from boneage_roi.cli import main
from boneage_roi.cli.terminal import predictions_table
from boneage_roi.regions import REGIONS
from tests.bundles import EXAMPLES, needs_bundle, write_toy_bundle
from tests.pictures import read_picture

COMMANDS = (
    *("predict", "detect", "segment", "evaluate", "info"),
    *("prepare", "train-segmenter", "train-detector", "train-region", "train-fusion", "train-quality"),
    *("train", "export", "demo", "adopt"),
)


class Done(NamedTuple):
    code: int
    out: str
    err: str


Command = Callable[..., Done]
RUN = "from boneage_roi.cli import main; main()"


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """Run ``boneage-roi`` with arguments, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["boneage-roi", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        return Done(int(stopped.value.code or 0), *capsys.readouterr())

    return run


@pytest.fixture
def bundle_folder(tmp_path: Path) -> Path:
    return write_toy_bundle(tmp_path / "bundle")


def assert_refused(done: Done, *said: str) -> None:
    assert done.code == 2
    assert done.out == ""
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1
    for words in said:
        assert words in done.err


def test_help_lists_every_command(command: Command) -> None:
    for done in (command("--help"), command()):
        assert done.code == 0
        assert all(name in done.out for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_has_an_example(command: Command, name: str) -> None:
    done = command(name, "--help")
    assert done.code == 0
    assert f"boneage-roi {name}" in done.out.split("Examples:")[1]


def test_version(command: Command) -> None:
    assert command("--version") == Done(0, f"boneage-roi {__version__}\n", "")


def processor_time(code: str, *arguments: str) -> tuple[float, str]:
    """Seconds that a Python process works, which a busy machine stretches less than the clock's, and its output."""
    before = os.times()
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system, done.stdout


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_answer_at_once(option: str) -> None:
    """Little later than the two libraries that every command is made of."""
    heavy = "{'numpy', 'pandas', 'cv2', 'onnxruntime', 'torch', 'matplotlib'} & set(sys.modules)"
    code = f"import atexit, sys; atexit.register(lambda: print('heavy:', {heavy}))\n{RUN}"
    seconds, output = processor_time(code, option)
    assert "heavy: set()" in output
    assert seconds < 2 * processor_time("import typer, rich.console, rich.panel, rich.table, rich.markdown")[0]


@pytest.mark.parametrize(
    "arguments",
    [["bogus"], ["predict"], ["predict", "--bogus", "x.png"], ["train-region"], ["evaluate", "--limit", "0"]],
)
def test_wrong_usage_is_one_line(command: Command, arguments: list[str]) -> None:
    assert_refused(command(*arguments), "--help")


def test_unknown_region_names_the_known(command: Command) -> None:
    assert_refused(command("train-region", "elbow"), "'elbow'", *REGIONS)


@pytest.mark.parametrize("name", ["predict", "detect", "segment"])
def test_missing_file(command: Command, name: str) -> None:
    assert_refused(command(name, "nowhere.png"), "nowhere.png", "no such file")


def test_empty_folder(command: Command, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert_refused(command("predict", "empty"), "empty", "no images")


def test_manifest_with_a_wrong_column(command: Command, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("picture,sex\na.png,F\n")
    assert_refused(command("predict", "m.csv"), "m.csv", "`path`", "picture")


def test_unknown_sex(command: Command) -> None:
    assert_refused(command("predict", "a.png", "--sex", "X"), "'X'")


def test_results_never_overwrite_an_input(command: Command, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("path,sex\na.png,F\n")
    assert_refused(command("predict", "m.csv", "--output", "m.csv"), "m.csv: is an input")
    assert (tmp_path / "m.csv").read_text() == "path,sex\na.png,F\n"


def test_a_run_that_is_none(command: Command) -> None:
    pytest.importorskip("torch")
    assert_refused(command("train-segmenter", "--run", "nowhere"), "nowhere", "boneage-roi prepare")


def test_info_tells_what_a_bundle_is(command: Command, bundle_folder: Path) -> None:
    done = command("info", bundle_folder)
    assert done.code == 0
    for words in ("toy", "twelve toys", "for play only", "test / mae", "6.25", "regions/carpal.onnx"):
        assert words in done.out


def break_hash(folder: Path) -> None:
    (folder / "detector.onnx").write_text("something else")


def break_file(folder: Path) -> None:
    (folder / "detector.onnx").unlink()


def break_schema(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"schema_version": 99}))


def break_folder(folder: Path) -> None:
    shutil.rmtree(folder)


@pytest.mark.parametrize("name", ["info", "predict"])
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (break_hash, "SHA-256"),
        (break_file, "detector.onnx is missing"),
        (break_schema, "newer"),
        (break_folder, "no such bundle folder"),
    ],
)
def test_broken_bundle(
    command: Command, bundle_folder: Path, damage: Callable[[Path], None], said: str, name: str
) -> None:
    image = bundle_folder.parent / "a.png"
    image.write_text("never read")
    damage(bundle_folder)
    arguments = ["info", bundle_folder] if name == "info" else ["predict", image, "--bundle", bundle_folder]
    assert_refused(command(*arguments), said)


def test_a_reader_that_leaves_early_is_no_error() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", RUN, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        assert running.stderr.read() == b""


@needs_bundle
def test_predict_reads_the_examples(command: Command) -> None:
    done = command("predict", EXAMPLES, "--output", "ages.csv", "--overlay", "overlays")
    assert done.code == 0, done.err
    with Path("ages.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    with (EXAMPLES / "manifest.csv").open(newline="") as file:
        truth = {row["path"]: row for row in csv.DictReader(file)}
    assert len(rows) == len(truth)
    assert len(list(Path("overlays").glob("*.png"))) == len(rows)
    for row in rows:
        expected = truth[Path(row["path"]).name]
        assert float(row["lower"]) <= float(row["bone_age_months"]) <= float(row["upper"])
        assert abs(float(row["bone_age_months"]) - float(expected["boneage"])) < 24
        assert row["sex"] == expected["sex"]
        assert row["hand_age"]
        assert f"{float(row['bone_age_months']):.1f}" in done.out


@needs_bundle
def test_three_studies_of_a_child_give_every_output(command: Command) -> None:
    for package in ("highdicom", "fhir.resources", "reportlab"):
        pytest.importorskip(package, reason="needs the extra all")
    subprocess.run([sys.executable, EXAMPLES / "make_studies.py", "studies"], check=True, capture_output=True)
    folders = ("--report", "out/report", "--dicom", "out/dicom", "--fhir", "out/fhir")
    done = command("predict", "studies", *folders, "--output", "out/ages.json", "--language", "es", "--no-tta")
    assert done.code == 0, done.err
    names = ["20180312", "20200915", "20220704"]
    made = {"report": (".html", ".pdf"), "dicom": ("-sr.dcm", "-sc.dcm"), "fhir": (".json",)}
    for kind, endings in made.items():
        found = sorted(path.name for path in Path("out", kind).glob("[!.]*"))
        assert found == sorted(name + ending for name in names for ending in endings)
    records = json.loads(Path("out/ages.json").read_text())
    assert [round(record["chronological_age_months"], 1) for record in records] == [80.7, 110.8, 132.5]
    assert [record["determination"] for record in records] == ["normal"] * 3
    assert "of one child" in done.out
    assert "2018-03-12 to 2022-07-04: +" in done.out
    assert 'lang="es"' in Path("out/report/20220704.html").read_text(encoding="utf-8")


@needs_bundle
def test_an_image_that_is_no_dicom_file_has_no_dicom_report_and_is_named(command: Command) -> None:
    pytest.importorskip("highdicom", reason="needs the extra dicom")
    done = command("predict", EXAMPLES / "girl-7y.png", "--sex", "F", "--dicom", "out", "--no-tta")
    assert done.code == 0
    assert "girl-7y.png: no DICOM report, because it is no DICOM file with a study" in done.err


@needs_bundle
def test_one_bad_image_does_not_stop_the_others(command: Command, tmp_path: Path) -> None:
    image = next(EXAMPLES.glob("*.png"))
    (tmp_path / "broken.png").write_text("no image")
    done = command("predict", "broken.png", image, "--sex", "F", "--json")
    assert done.code == 1
    assert [record["status"] for record in json.loads(done.out)] == ["error", "ok"]
    assert "broken.png: not an image" in done.err
    assert "1 of 2 inputs failed" in done.err


@needs_bundle
@pytest.mark.parametrize("content", [b"no image", b""])
def test_a_single_bad_image_is_the_users_mistake(command: Command, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "broken.png").write_bytes(content)
    assert_refused(command("predict", "broken.png", "--sex", "F"), "broken.png")


@needs_bundle
def test_without_a_sex_both_are_read(command: Command, tmp_path: Path) -> None:
    shutil.copy(next(EXAMPLES.glob("*.png")), tmp_path / "hand.png")
    unknown, girl, boy = (
        json.loads(command("predict", "hand.png", "--json", *option).out)[0]
        for option in ((), ("--sex", "F"), ("--sex", "M"))
    )
    ages = girl["bone_age_months"], boy["bone_age_months"]
    assert unknown["bone_age_months"] == pytest.approx(sum(ages) / 2, abs=0.02)
    assert unknown["lower"] == min(girl["lower"], boy["lower"])
    assert unknown["upper"] == max(girl["upper"], boy["upper"])
    assert unknown["sex"] is None
    assert unknown["quality"] == "warning"
    assert unknown["flags"][0] == f"sex unknown: {ages[0]:.0f} months if female, {ages[1]:.0f} if male"
    assert unknown["regions"]["hand"] == pytest.approx((girl["regions"]["hand"] + boy["regions"]["hand"]) / 2, abs=0.02)


@needs_bundle
def test_what_is_no_hand_is_rejected(command: Command, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (400, 300), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "noise.png"), noise)
    assert_refused(command("predict", "noise.png", "--sex", "F"), "noise.png: rejected: ")
    hand = next(EXAMPLES.glob("*.png"))
    done = command("predict", "noise.png", hand, "--sex", "F", "--output", "ages.csv")
    assert done.code == 1
    with Path("ages.csv").open(newline="") as file:
        rejected, read = csv.DictReader(file)
    assert (rejected["status"], rejected["bone_age_months"]) == ("rejected", "")
    assert (read["status"], bool(read["bone_age_months"])) == ("ok", True)


@needs_bundle
def test_two_hands_in_one_image_are_rejected(command: Command, tmp_path: Path) -> None:
    hand = cv2.imread(str(next(EXAMPLES.glob("*.png"))), cv2.IMREAD_GRAYSCALE)
    assert hand is not None
    cv2.imwrite(str(tmp_path / "both.png"), np.hstack([hand, hand[:, ::-1]]))
    assert_refused(command("predict", "both.png", "--sex", "F"), "two hands")


@needs_bundle
def test_detect_and_segment_write_pictures(command: Command) -> None:
    image = next(EXAMPLES.glob("*.png"))
    done = command("detect", image, "--json")
    assert done.code == 0, done.err
    assert {box["region"] for box in json.loads(done.out)} == set(REGIONS) - {"hand"}
    assert Path("regions/boxes.csv").is_file()
    assert command("segment", image).code == 0
    mask = cv2.imread(f"masks/{image.name}", cv2.IMREAD_GRAYSCALE)
    assert mask is not None
    assert mask.shape == read_picture(image, cv2.IMREAD_GRAYSCALE).shape
    assert set(np.unique(mask)) == {0, 255}
    assert 0.15 < (mask > 0).mean() < 0.9


def test_the_table_keeps_every_digit_at_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    row = {f"{region.replace('-', '_')}_age": 101.25 + place for place, region in enumerate(REGIONS)}
    row |= {"bone_age_months": 123.45, "lower": 112.2, "upper": 134.8}
    table = predictions_table(
        [row | {"path": "examples/female-120.png", "sex": "F", "flags": "inverted"}], list(REGIONS)
    )
    Console(width=80).print(table)
    shown = capsys.readouterr().out
    for number in ("10 y 3 m", "112-135", *(f"{101.2 + place:.1f}" for place in range(len(REGIONS)))):
        assert number in shown
    assert "examples/female-120.png: inverted" in shown
