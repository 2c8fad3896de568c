"""Results never go over an input, nor over what the same command did not make."""

import os
from pathlib import Path

import pytest

from boneage_roi.errors import InputError
from boneage_roi.outputs.files import WRITTEN, GrowingFile, OutputFiles


def test_an_input_is_never_written_by_any_name(tmp_path: Path) -> None:
    hand = tmp_path / "hand.png"
    hand.write_text("a radiograph")
    (tmp_path / "link.png").symlink_to(hand)
    os.link(hand, tmp_path / "hard.png")
    (tmp_path / "sub").mkdir()
    names = [hand, tmp_path / "link.png", tmp_path / "hard.png", tmp_path / "sub" / ".." / "hand.png"]
    for outputs in (OutputFiles("predict", [hand]), OutputFiles("predict", [hand], overwrite=True)):
        for name in names:
            with pytest.raises(InputError, match="is an input"):
                outputs.write(name, "ages")
    assert hand.read_text() == "a radiograph"


def test_only_a_link_to_an_input_is_given(tmp_path: Path) -> None:
    (tmp_path / "hand.png").write_text("a radiograph")
    (tmp_path / "link.png").symlink_to("hand.png")
    with pytest.raises(InputError, match="is an input"):
        OutputFiles("predict", [tmp_path / "link.png"]).claim(tmp_path / "hand.png")


def test_a_command_replaces_what_it_made_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "new" / "ages.csv"
    OutputFiles("predict").write(path, "first")
    OutputFiles("predict").write(path, "second")
    assert path.read_text() == "second"
    with pytest.raises(InputError, match="not as `detect` wrote it"):
        OutputFiles("detect").write(path, "boxes")
    path.write_text("second, and a remark of mine")
    with pytest.raises(InputError, match="--overwrite"):
        OutputFiles("predict").write(path, "third")
    assert path.read_text() == "second, and a remark of mine"
    OutputFiles("predict", overwrite=True).write(path, "third")
    assert path.read_text() == "third"


def test_a_list_cut_by_a_kill_is_read(tmp_path: Path) -> None:
    OutputFiles("predict").write(tmp_path / "a.csv", "a")
    with (tmp_path / WRITTEN).open("a") as file:
        file.write('\n{"file": "b.c')
    OutputFiles("predict").write(tmp_path / "c.csv", "c")
    for name in ("a.csv", "c.csv"):
        OutputFiles("predict").write(tmp_path / name, "again")


def test_a_growing_file_keeps_the_old_one_until_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "ages.csv"
    for text, complete in (("old", True), ("new", False)):
        file = GrowingFile(path, OutputFiles("predict"))
        file.open()
        file.write(text)
        assert (tmp_path / "ages.csv.partial").read_text() == text
        file.close(complete)
    assert path.read_text() == "old"
    assert (tmp_path / "ages.csv.partial").read_text() == "new"


def test_a_growing_file_spares_an_input_called_partial(tmp_path: Path) -> None:
    hand = tmp_path / "hand.png.partial"
    hand.write_text("a radiograph")
    with pytest.raises(InputError, match="is an input"):
        GrowingFile(tmp_path / "hand.png", OutputFiles("predict", [hand])).open()
    assert hand.read_text() == "a radiograph"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="devices of POSIX")
def test_devices_are_written_to_and_stay(tmp_path: Path) -> None:
    for name in ("null", "full"):
        (tmp_path / name).symlink_to(f"/dev/{name}")
    OutputFiles("predict").write(tmp_path / "null", "nothing")
    file = GrowingFile(tmp_path / "null", OutputFiles("predict"))
    file.open()
    file.write("nothing")
    file.close(complete=True)
    assert Path("/dev/null").is_char_device()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full", "null"]
    full = GrowingFile(tmp_path / "full", OutputFiles("predict"))
    full.open()
    with pytest.raises(InputError, match="full: cannot be written"):
        full.write("text")
