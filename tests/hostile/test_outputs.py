"""No command writes over what it reads, nor over what it did not make."""

import hashlib
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pydicom import config

from boneage_roi.cli import main
from tests.imaging.makers import dicom, header, ramp
from tests.pipeline.test_batch import ToyPredictor

Command = Callable[..., tuple[int, str, str]]
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links and devices of POSIX")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """Run ``boneage-roi`` with a reader that reads 100 months of whatever image it gets."""
    monkeypatch.setattr("boneage_roi.pipeline.settings.BoneAgeReader", lambda *_, **__: ToyPredictor())

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["boneage-roi", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        return int(stopped.value.code or 0), *capfd.readouterr()

    return run


@pytest.fixture
def dl(tmp_path: Path) -> Path:
    """A folder of downloads: a manifest, two radiographs in it, a DICOM file and a PNG of one name."""
    folder = tmp_path / "dl"
    folder.mkdir()
    picture = np.random.default_rng(0).integers(0, 255, (90, 80), dtype=np.uint8)
    for name in ("10097", "10098", "hand"):
        cv2.imwrite(str(folder / f"{name}.png"), picture)
    (folder / "hand.dcm").write_bytes(dicom(header(ramp(4096))))
    (folder / "manifest.csv").write_text("path,sex\n10097.png,F\n10098.png,M\n")
    return folder


def contents(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.is_file()}


def inputs_stay(command: Command, folder: Path, *arguments: str) -> None:
    """A command that would write over an input says so in a line, and leaves every file as it was."""
    before = contents(folder)
    code, out, err = command(*arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "is an input" in err
    assert contents(folder) == before


@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", "dl", "--overlay", "dl"],
        ["segment", "dl", "--output", "dl"],
        ["detect", "dl", "--output", "dl"],
        ["predict", "dl/10097.png", "dl/10098.png", "--overlay", "dl"],
        ["predict", "dl/manifest.csv", "--overlay", "dl"],
        ["predict", "dl", "--output", "dl/manifest.csv"],
        ["predict", "dl", "--output", "dl/../dl/manifest.csv"],
        ["predict", "dl", "--output", "link/manifest.csv"],
        ["predict", "link", "--output", "dl/manifest.csv"],
        ["predict", "dl", "--output", "hard.csv"],
        ["predict", "dl/manifest.csv", "--output", "soft.csv"],
    ],
)
def test_18_4_inputs_stay(
    command: Command, dl: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], overwrite: list[str]
) -> None:
    monkeypatch.chdir(dl.parent)
    Path("link").symlink_to("dl")
    Path("hard.csv").hardlink_to("dl/manifest.csv")
    Path("soft.csv").symlink_to("dl/manifest.csv")
    inputs_stay(command, dl, *arguments, *overwrite)


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", "dl/hand.dcm", "--overlay", "dl"],
        ["predict", "dl/hand.dcm", "--output", "dl/manifest.csv"],
        ["segment", "dl/hand.dcm", "--output", "dl"],
        ["detect", "dl/hand.dcm", "--output", "dl"],
        ["predict", "dl/hand.dcm", "--output", "labels.csv"],
    ],
)
def test_18_4_what_others_made_stays(
    command: Command, dl: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(dl.parent)
    Path("labels.csv").write_text("id,boneage\n1,100\n")
    before = contents(dl) | contents(dl.parent)
    code, out, err = command(*arguments)
    assert (code, out) == (2, "")
    assert "--overwrite" in err
    assert contents(dl) | contents(dl.parent) == before
    assert command(*arguments, "--overwrite")[0] == 0
    assert contents(dl) | contents(dl.parent) != before


def test_18_4_a_radiograph_is_no_name_for_results(command: Command, dl: Path) -> None:
    before = contents(dl)
    assert command("predict", dl, "--output", dl / "10097.png")[0] == 2
    assert contents(dl) == before


@pytest.mark.parametrize("name", ["predict", "detect", "segment"])
def test_18_4_the_same_command_again_replaces_its_own(command: Command, dl: Path, tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    options = ["--output", tmp_path / "ages.csv", "--overlay", out] if name == "predict" else ["--output", out]
    for _ in range(2):
        assert command(name, dl, *options)[0] == 0
    picture = out / "10097.png"
    picture.write_text("a note of mine, by mistake under this name")
    assert "--overwrite" in command(name, dl, *options)[2]
    assert picture.read_text().startswith("a note")


@pytest.mark.parametrize("device", ["/dev/null", "/dev/stdout"])
def test_18_4_devices_stay(command: Command, dl: Path, device: str) -> None:
    node = Path(device).stat().st_mode
    assert command("predict", dl, "--output", device)[0] == 0
    assert Path(device).stat().st_mode == node


def test_18_7_a_full_disk_names_the_file(command: Command, dl: Path, tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs a full device")
    (tmp_path / "ages.csv").symlink_to("/dev/full")
    code, _, err = command("predict", dl, "--output", tmp_path / "ages.csv")
    assert code == 2
    assert err.startswith(f"error: {tmp_path / 'ages.csv'}: cannot be written (No space left on device)")


@pytest.mark.parametrize("name", ["=cmd|' C calc'!A0.png", "@SUM(A1).png", "+1.png", "-1.png", "\tx.png", "\rx.png"])
def test_18_11_no_cell_is_a_formula(command: Command, dl: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(dl)
    shutil.copy("hand.png", "first.png")
    Path("hand.png").rename(name)
    Path("m.csv").write_text(f'path\n"{name}"\nfirst.png\n') if name.strip() == name else None
    inputs = ["m.csv"] if name.strip() == name else ["--", name, "first.png"]
    options = ["--output", "ages.csv"]
    code, _, _ = command("predict", *options, *inputs)
    assert code == 0
    text = Path("ages.csv").read_bytes().decode()
    assert f"'{name}" in text
    command("predict", "--output", "ages.json", *inputs)
    assert json.loads(Path("ages.json").read_text())[0]["path"] == name


SECRET = "DOE^JANE<script>\x1b[31m=1+1"


@pytest.mark.parametrize(
    "changes",
    [
        {"PhotometricInterpretation": SECRET[:16]},
        {"NumberOfFrames": "7 "},
        {"PixelRepresentation": 99},
        {"SamplesPerPixel": 3},
        {"BitsStored": 99},
        {"VOILUTFunction": SECRET},
        {"PatientSex": SECRET},
        {"PatientAge": SECRET},
        {"RescaleSlope": "1e400", "RescaleIntercept": "nan"},
        {"Rows": 45},
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_18_11_no_header_text_is_quoted(command: Command, tmp_path: Path, changes: dict[str, Any]) -> None:
    dataset = header(ramp(4096))
    dataset.PatientName, dataset.PatientID = SECRET, SECRET
    with config.disable_value_validation():
        for keyword, value in changes.items():
            setattr(dataset, keyword, value)
        (tmp_path / "hand.dcm").write_bytes(dicom(dataset))
    code, out, err = command("predict", tmp_path / "hand.dcm", "--json")
    assert code in (0, 2)
    for words in ("DOE", "script", "\x1b", "OpenCV", "cv::", "Error"):
        assert words not in out + err


@pytest.mark.filterwarnings("ignore")
def test_18_13_a_dicom_with_half_its_rows(command: Command, tmp_path: Path) -> None:
    whole = header(ramp(4096))
    for rows in (whole.Rows // 2, whole.Rows * 2):
        dataset = header(ramp(4096))
        dataset.Rows = rows
        (tmp_path / "hand.dcm").write_bytes(dicom(dataset))
        code, _, err = command("predict", tmp_path / "hand.dcm", "--json")
        assert "OpenCV" not in err
        assert (code, err.count("\n")) in ((0, 0), (2, 1))


@pytest.mark.parametrize(
    "arguments", [["predict", ""], ["predict", "a.png", "--overlay", ""], ["detect", "a.png", "--output", " "]]
)
def test_18_13_an_empty_path_is_refused(
    command: Command, dl: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(dl)
    before = contents(dl)
    code, out, err = command(*arguments)
    assert (code, out) == (2, "")
    assert "path is empty" in err
    assert contents(dl) == before
