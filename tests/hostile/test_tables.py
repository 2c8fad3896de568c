"""Tables as Excel and statistics programs save them are read; what cannot be is refused with its cause."""

from collections.abc import Callable
from pathlib import Path

import pytest

from boneage_roi.datasets.manifest import read_dataset, read_manifest
from boneage_roi.errors import InputError
from boneage_roi.outputs.csv import csv_header, csv_text
from boneage_roi.pipeline.inputs import list_inputs
from boneage_roi.pipeline.reader import BoneAgeReader
from boneage_roi.pipeline.tables import read_table
from boneage_roi.quality.gate import WORDINGS
from tests.bundles import EXAMPLES, needs_bundle

TEXT = "path,sex,boneage\nRöntgen 1.png,M,120.5\nb.png,F,60\n"
SAVED = {
    "semicolons": TEXT.replace(",", ";").encode(),
    "semicolons, decimal commas": TEXT.replace(",", ";").replace("120.5", "120,5").encode(),
    "semicolons, UTF-8 mark": b"\xef\xbb\xbf" + TEXT.replace(",", ";").encode(),
    "tabs": TEXT.replace(",", "\t").encode(),
    "Excel's Unicode text": b"\xff\xfe" + TEXT.replace(",", "\t").encode("utf-16-le"),
    "UTF-16, big endian": b"\xfe\xff" + TEXT.encode("utf-16-be"),
    "UTF-16 without a mark": TEXT.encode("utf-16-le"),
    "Excel's hint": b"sep=;\r\n" + TEXT.replace(",", ";").replace("\n", "\r\n").encode(),
    "quoted headings": TEXT.replace("path,sex,boneage", '"path","sex","boneage"').encode(),
}


@pytest.fixture(scope="module")
def reader() -> BoneAgeReader:
    return BoneAgeReader(tta=False)


@pytest.mark.parametrize("saved", SAVED)
def test_18_13_tables_as_programs_save_them(tmp_path: Path, saved: str) -> None:
    (tmp_path / "m.csv").write_bytes(SAVED[saved])
    table = read_manifest(tmp_path / "m.csv", check_images=False)
    assert [Path(path).name for path in table["path"]] == ["Röntgen 1.png", "b.png"]
    assert table["boneage"].tolist() == [120.5, 60]
    assert [item.sex for item in list_inputs(tmp_path / "m.csv")] == ["M", "F"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (TEXT.encode("latin-1"), "not UTF-8 text.*save it as CSV UTF-8"),
        (b"PK\x03\x04" + bytes(99), "is a workbook"),
        (b"path,sex\n\0\0", "is no text"),
        (b"\xff\xfea", "not UTF-8"),
    ],
)
def test_18_13_a_table_that_is_none_names_the_cause(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "m.csv").write_bytes(content)
    with pytest.raises(InputError, match=said):
        read_manifest(tmp_path / "m.csv", check_images=False)


def test_18_13_a_file_may_be_called_na(tmp_path: Path, image: Callable[[Path], Path]) -> None:
    for name in ("NA", "null", "nan"):
        image(tmp_path / "hand.png").rename(tmp_path / name)
    (tmp_path / "m.csv").write_text("id,path,sex,boneage,width,height\nNA,NA,F,NA,nan,\nNaN,null,NA,100,,\nn,nan,,,,\n")
    table = read_manifest(tmp_path / "m.csv")
    assert [Path(path).name for path in table["path"]] == ["NA", "null", "nan"]
    assert table["id"].tolist() == ["NA", "NaN", "n"]
    assert table["boneage"].isna().tolist() == [True, False, True]
    assert table["sex"].tolist()[0] == "F"


def test_18_13_our_own_table_is_a_manifest(tmp_path: Path) -> None:
    rows = [{"path": "=1+1.png"}, {"path": "-2.png"}, {"path": "plain.png"}]
    (tmp_path / "ages.csv").write_text(csv_header(["path"]) + csv_text(rows, ["path"]))
    names = [Path(item.path).name for item in list_inputs(tmp_path / "ages.csv")]
    assert names == ["=1+1.png", "-2.png", "plain.png"]


@pytest.mark.parametrize("name", ["boneage", "chronological_age"])
def test_18_13_ages_in_years_are_refused_with_a_hint(tmp_path: Path, image: Callable[[Path], Path], name: str) -> None:
    paths = [image(tmp_path / "hands" / f"{number}.png").stem for number in range(3)]

    def write(column: str, *ages: float) -> Path:
        rows = [f"hands/{path}.png,F,{age}" for path, age in zip(paths, ages, strict=True)]
        (tmp_path / "m.csv").write_text(f"path,sex,{column}\n" + "\n".join(rows) + "\n")
        return tmp_path / "m.csv"

    for read in (lambda path: read_table(path, labels=True), read_dataset):
        with pytest.raises(InputError, match=f"{name} looks like years .the largest of 3 is 17.5.; .*`{name}_years`"):
            read(write(name, 10, 17.5, 3))
        assert read(write(f"{name}_years", 10, 17.5, 3))[name].tolist() == [120, 210, 36]
        assert read(write(f"{name}_months", 10, 17.5, 3))[name].tolist() == [10, 17.5, 3]
        assert read(write(name, 10, 17.5, 30))[name].tolist() == [10, 17.5, 30]
    assert read_table(write(name, 10, 17.5, 3))[name].tolist() == [10, 17.5, 3]  # where nothing rests on it


@needs_bundle
@pytest.mark.parametrize(("age", "flagged"), [(10, True), (20, True), (21, False), (120, False), (None, False)])
def test_18_13_a_chronological_age_in_years_is_flagged(reader: BoneAgeReader, age: float | None, flagged: bool) -> None:
    """One age alone tells nothing; beside the bone age of a school child it does."""
    read = reader.predict(EXAMPLES / "girl-10y.png", sex="F", chronological_age=age)
    said = [flag for flag in read.flags if "chronological age" in flag]
    assert said == ([f"chronological age of {age} months: is it in years?"] if flagged else [])


def test_18_13_an_age_with_two_units_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("path,boneage,boneage_years\na.png,120,10\n")
    with pytest.raises(InputError, match="`boneage` and `boneage_years`"):
        read_manifest(tmp_path / "m.csv", check_images=False)


def test_18_13_an_empty_path_is_not_the_current_folder() -> None:
    (item,) = list_inputs([""])
    assert "empty" in item.error


def test_17_4_no_flag_holds_what_stands_between_flags() -> None:
    assert all("; " not in wording.reason for wording in WORDINGS.values())
