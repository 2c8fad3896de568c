from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from boneage_roi.datasets.manifest import read_dataset, read_manifest
from boneage_roi.errors import InputError


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_columns_are_normalised_and_paths_belong_to_the_csv(tmp_path: Path, image: Callable[[Path], Path]) -> None:
    image(tmp_path / "hands/a.png")
    image(tmp_path / "hands/b.png")
    csv = write(tmp_path / "m.csv", "Path,SEX,BoneAge,Width\nhands/a.png,female,60.5,700\nhands/b.png,,,\n")
    frame = read_manifest(csv)
    assert list(frame["id"]) == ["a", "b"]
    assert list(frame["path"]) == [str(tmp_path / "hands/a.png"), str(tmp_path / "hands/b.png")]
    assert frame["sex"][0] == "F"
    assert frame["boneage"][0] == 60.5
    assert frame["width"][0] == 700
    assert frame.loc[1, ["sex", "boneage", "chronological_age", "width", "height"]].isna().all()


@pytest.mark.parametrize(
    ("column", "word", "sex"),
    [("sex", "m", "M"), ("sex", "Female", "F"), ("male", "True", "M"), ("Male", "FALSE", "F"), ("male", "0", "F")],
)
def test_every_way_to_write_a_sex(
    tmp_path: Path, image: Callable[[Path], Path], column: str, word: str, sex: str
) -> None:
    image(tmp_path / "a.png")
    frame = read_manifest(write(tmp_path / "m.csv", f"path,{column}\na.png,{word}\n"))
    assert list(frame["sex"]) == [sex]


def test_split_and_patient_are_kept_and_ids_stay_text(tmp_path: Path, image: Callable[[Path], Path]) -> None:
    image(tmp_path / "a.png")
    frame = read_manifest(write(tmp_path / "m.csv", "id,path,split,patient\n007,a.png,test,12\n"))
    assert frame[["id", "split", "patient"]].to_numpy().tolist() == [["007", "test", "12"]]


def test_same_file_name_in_two_folders_gets_two_ids(tmp_path: Path, image: Callable[[Path], Path]) -> None:
    image(tmp_path / "x/1.png")
    image(tmp_path / "y/1.png")
    frame = read_manifest(write(tmp_path / "m.csv", "path\nx/1.png\ny/1.png\n"))
    assert frame["id"].is_unique


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,sex\n", "no rows"),
        ("", "not a readable CSV"),
        ("file,sex\na.png,M\n", "no `path` column; it has file, sex"),
        ("id,path,sex\n1,a.png,M\n2,a.png,boy\n", "row 3: sex is 'boy'"),
        ("path,boneage\na.png,ten\n", "row 2: boneage is 'ten'"),
        ("path,boneage\na.png,240\n", "row 2: boneage is '240'"),
        ("path,boneage\na.png,-1\n", "row 2: boneage is '-1'"),
        ("path,width\na.png,0\n", "row 2: width is '0'"),
        ("id,path\n1,a.png\n1,a.png\n", "row 3: id 1 comes twice"),
        ("id,path\n,a.png\n", "row 2: id is empty"),
        ("path,Path\na.png,a.png\n", "two columns are named `path`"),
        ("path\na.png\nb.png\nc.png\n", "2 of 3 images are missing, the first is .*b.png"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, image: Callable[[Path], Path], text: str, message: str) -> None:
    image(tmp_path / "a.png")
    with pytest.raises(InputError, match=message) as caught:
        read_manifest(write(tmp_path / "m.csv", text))
    assert "m.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_manifest(tmp_path / "none.csv")
    with pytest.raises(InputError, match="no such file or folder"):
        read_dataset(tmp_path / "none")


def test_missing_images_can_be_left_to_the_caller(tmp_path: Path) -> None:
    frame = read_manifest(write(tmp_path / "m.csv", "path\nb.png\n"), check_images=False)
    assert list(frame["path"]) == [str(tmp_path / "b.png")]


def test_rsna_layout_takes_the_folder_with_most_images(tmp_path: Path, image: Callable[[Path], Path]) -> None:
    write(tmp_path / "boneage-training-dataset.csv", "id,boneage,male\n1,12,False\n2,150,True\n")
    image(tmp_path / "few/1.png")
    image(tmp_path / "boneage-training-dataset/boneage-training-dataset/1.webp")
    image(tmp_path / "boneage-training-dataset/boneage-training-dataset/2.webp")
    for dataset in (tmp_path, tmp_path / "boneage-training-dataset.csv"):
        frame = read_dataset(dataset)
        assert [Path(path).name for path in frame["path"]] == ["1.webp", "2.webp"]
        assert list(frame["sex"]) == ["F", "M"]
        assert list(frame["boneage"]) == [12, 150]


def test_dataset_may_be_a_folder_with_a_manifest(tmp_path: Path, image: Callable[[Path], Path]) -> None:
    image(tmp_path / "a.png")
    write(tmp_path / "manifest.csv", "path,boneage\na.png,7\n")
    write(tmp_path / "notes.csv", "what,when\nx,y\n")
    pd.testing.assert_frame_equal(read_dataset(tmp_path), read_manifest(tmp_path / "manifest.csv"))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "no CSV in this folder"),
        ({"labels.csv": "id,boneage\n1,2\n"}, "no folder of ID.png images"),
        ({"labels.csv": "name,boneage\n1,2\n"}, "no `id` column; it has name, boneage"),
        ({"a.csv": "id,boneage\n1,2\n", "b.csv": "id,boneage\n1,2\n"}, "which CSV .*a.csv, b.csv"),
    ],
)
def test_folders_that_are_no_dataset(tmp_path: Path, files: dict[str, str], message: str) -> None:
    for name, text in files.items():
        write(tmp_path / name, text)
    with pytest.raises(InputError, match=message):
        read_dataset(tmp_path)


def test_ids_without_image_are_counted(tmp_path: Path, image: Callable[[Path], Path]) -> None:
    write(tmp_path / "labels.csv", "id,boneage,male\n1,12,False\n2,150,True\n3,9,True\n")
    image(tmp_path / "images/1.png")
    with pytest.raises(InputError, match="2 of 3 images are missing, the first is 2"):
        read_dataset(tmp_path)
