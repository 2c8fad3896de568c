import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from boneage_roi.configs.schema import SplitConfig, TrainConfig
from boneage_roi.errors import InputError
from boneage_roi.runs.run import Run
from boneage_roi.training.prepare import prepare
from tests.imaging.makers import dicom, header

CONFIG = TrainConfig.load("default")
VOC = """<annotation><size><width>100</width><height>100</height></size>
<object><name>DIP</name><bndbox><xmin>10</xmin><ymin>10</ymin><xmax>30</xmax><ymax>30</ymax></bndbox></object>
</annotation>"""


@pytest.fixture
def dataset(tmp_path: Path, image: Callable[[Path], Path]) -> Path:
    """Four hands, of which "broken" is no image and "ageless" has no bone age; boxes of a used and an unused hand."""
    folder = tmp_path / "data"
    for hand in ("1377", "1378", "ageless"):
        image(folder / f"images/{hand}.png")
    (folder / "images/broken.png").write_bytes(b"not an image")
    (folder / "labels.csv").write_text("id,boneage,male\n1377,180,False\n1378,12,True\nbroken,9,True\nageless,,True\n")
    (folder / "annotations/voc").mkdir(parents=True)
    for hand in ("1377", "broken"):
        (folder / f"annotations/voc/{hand}.xml").write_text(VOC)
    polygons = {"1378": [[[0, 0], [1, 0], [1, 1]]], "stranger": []}
    (folder / "annotations/hand_polygons.json").write_text(json.dumps(polygons))
    return folder


@pytest.fixture
def sharper(tmp_path: Path, image: Callable[[Path], Path]) -> Path:
    """Two hands of ``train``, one of each other split; all but "b" have a sharper image, and so has a stranger."""
    folder = tmp_path / "sharper"
    for hand in "abcd":
        image(folder / f"images/{hand}.png")
    for hand in ("a", "c", "d", "stranger"):
        image(folder / f"images-hires/{hand}.webp")
    rows = ["a,30,M,1514,2044,p,train", "b,40,F,1514,2044,q,train", "c,50,M,,,r,fusion", "d,60,F,,,s,test"]
    (folder / "labels.csv").write_text("\n".join(["id,boneage,sex,width,height,patient,split", *rows]))
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path / "runs/a")


def test_usable_hands_are_indexed_and_the_others_listed_with_reason(dataset: Path, run: Run) -> None:
    manifest = prepare(dataset, run, CONFIG)
    assert list(manifest["id"]) == ["1377", "1378"]
    assert list(manifest["split"]) == ["fusion", "train"]
    assert list(manifest["sex"]) == ["F", "M"]
    pd.testing.assert_frame_equal(manifest, run.manifest)
    assert run.config == CONFIG
    rejected = pd.read_csv(run.path / "rejected.csv").set_index("id")["reason"]
    assert rejected["ageless"] == "no boneage"
    assert "broken.png" in rejected["broken"]
    assert len(rejected) == 2


def test_annotations_of_usable_hands_are_kept(dataset: Path, run: Run) -> None:
    prepare(dataset, run, CONFIG)
    boxes = pd.read_csv(run.path / "annotations/boxes.csv", dtype={"id": str})
    assert boxes.to_numpy().tolist() == [["1377", "voc", "DIP", 0.1, 0.1, 0.3, 0.3]]
    assert list(json.loads((run.path / "annotations/polygons.json").read_text())) == ["1378"]
    assert json.loads((run.path / "annotations/keypoints.json").read_text()) == {}


def test_boxes_csv_goes_before_other_formats(dataset: Path, run: Run) -> None:
    line = "1378,koitka2018,PIP,0.1,0.2,0.3,0.4"
    (dataset / "annotations/boxes.csv").write_text(f"id,source,label,xmin,ymin,xmax,ymax\n{line}\n")
    prepare(dataset, run, CONFIG)
    assert (run.path / "annotations/boxes.csv").read_text().splitlines()[1:] == [line]


def test_a_dataset_without_annotations_is_fine(tmp_path: Path, image: Callable[[Path], Path], run: Run) -> None:
    image(tmp_path / "a.png")
    (tmp_path / "m.csv").write_text("path,sex,boneage\na.png,F,30\n")
    assert len(prepare(tmp_path / "m.csv", run, CONFIG)) == 1
    assert len(pd.read_csv(run.path / "annotations/boxes.csv")) == 0


def test_a_hand_without_sex_is_rejected(tmp_path: Path, image: Callable[[Path], Path], run: Run) -> None:
    image(tmp_path / "a.png")
    image(tmp_path / "b.png")
    (tmp_path / "m.csv").write_text("path,sex,boneage\na.png,F,30\nb.png,,30\n")
    assert list(prepare(tmp_path / "m.csv", run, CONFIG)["id"]) == ["a"]
    assert pd.read_csv(run.path / "rejected.csv")["reason"].tolist() == ["no sex"]


def test_preparing_again_changes_nothing(dataset: Path, run: Run) -> None:
    prepare(dataset, run, CONFIG)
    before = (run.path / "manifest.csv").stat().st_mtime_ns
    prepare(dataset, run, CONFIG)
    assert (run.path / "manifest.csv").stat().st_mtime_ns == before


def test_a_changed_dataset_is_prepared_anew(dataset: Path, run: Run, image: Callable[[Path], Path]) -> None:
    prepare(dataset, run, CONFIG)
    image(dataset / "images/broken.png")
    assert "broken" in set(prepare(dataset, run, CONFIG)["id"])


def test_an_interrupted_preparation_leaves_no_manifest(dataset: Path, run: Run) -> None:
    prepare(dataset, run, CONFIG)
    (run.path / "manifest.csv").unlink()
    with pytest.raises(InputError, match="not a run folder"):
        _ = run.manifest
    assert len(prepare(dataset, run, CONFIG)) == 2


def test_a_trained_run_keeps_its_split_shares(dataset: Path, run: Run) -> None:
    prepare(dataset, run, CONFIG)
    run.finish("segmenter", {"dice": 0.9})
    with pytest.raises(InputError, match="other split shares"):
        prepare(dataset, run, CONFIG.model_copy(update={"split": SplitConfig(fusion=0.3)}))


def test_no_usable_hand_is_an_error(tmp_path: Path, run: Run) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "m.csv").write_text("path,sex,boneage\na.png,F,30\n")
    with pytest.raises(InputError, match=r"none of 1 hands can be used; the first: .*a.png"):
        prepare(tmp_path / "m.csv", run, CONFIG)
    assert not (run.path / "manifest.csv").exists()


def test_a_malformed_annotation_stops_before_anything_is_written(dataset: Path, run: Run) -> None:
    (dataset / "annotations/keypoints.json").write_text("{")
    with pytest.raises(InputError, match=r"keypoints\.json: not readable JSON"):
        prepare(dataset, run, CONFIG)
    assert not run.path.exists()


def test_sharper_images_of_train_hands_are_rows_at_the_end(sharper: Path, run: Run) -> None:
    manifest = prepare(sharper, run, CONFIG)
    assert list(manifest["id"]) == ["a", "b", "c", "d", "a-images-hires"]
    own, added = manifest.iloc[0], manifest.iloc[4]
    assert added["path"] == str(sharper / "images-hires/a.webp")
    assert added[["width", "height"]].isna().all()
    same = ["sex", "boneage", "chronological_age", "patient", "split"]
    pd.testing.assert_series_equal(added[same], own[same], check_names=False)
    assert own["width"] == 1514


def test_sharper_images_are_found_beside_the_images_of_a_manifest(
    tmp_path: Path, image: Callable[[Path], Path], run: Run
) -> None:
    for path in ("png/a.png", "more/images-hires/a.png"):
        image(tmp_path / path)
    (tmp_path / "m.csv").write_text("path,sex,boneage,split\npng/a.png,F,30,train\n")
    assert list(prepare(tmp_path / "m.csv", run, CONFIG)["id"]) == ["a", "a-images-hires"]


def test_sharper_images_move_no_hand_to_another_split(dataset: Path, run: Run, image: Callable[[Path], Path]) -> None:
    before = prepare(dataset, run, CONFIG)
    for hand in before["id"]:
        image(dataset / f"images-hires/{hand}.png")
    after = prepare(dataset, run, CONFIG)
    assert list(after["id"]) == ["1377", "1378", "1378-images-hires"]
    pd.testing.assert_frame_equal(after.iloc[:2], before)


def test_no_sharper_images_are_fine(sharper: Path, run: Run) -> None:
    for name in (None, "images-no-such"):
        config = CONFIG.model_copy(update={"sharper_images": name})
        assert list(prepare(sharper, run, config)["id"]) == ["a", "b", "c", "d"]


def test_images_that_are_the_hands_own_count_once(sharper: Path, run: Run) -> None:
    config = CONFIG.model_copy(update={"sharper_images": "images"})
    assert list(prepare(sharper, run, config)["id"]) == ["a", "b", "c", "d"]


def test_a_sharper_image_that_cannot_be_read_is_rejected(sharper: Path, run: Run) -> None:
    (sharper / "images-hires/a.webp").write_bytes(b"not an image")
    assert list(prepare(sharper, run, CONFIG)["id"]) == ["a", "b", "c", "d"]
    assert pd.read_csv(run.path / "rejected.csv")["id"].tolist() == ["a-images-hires"]


def test_a_sex_that_only_the_hands_own_image_tells_is_its_sharper_image_s_too(sharper: Path, run: Run) -> None:
    (sharper / "labels.csv").write_text("id,boneage,split\na,30,train\nb,40,train\nc,50,train\nd,60,train\n")
    stored = np.arange(6400, dtype=np.uint16).reshape(80, 80) % 4096
    for name, sex in zip("abcd", "MMFF", strict=True):  # files are known by their content, not by their names
        (own,) = (path for path in sharper.rglob(f"{name}.png") if "hires" not in str(path))
        own.write_bytes(dicom(header(stored, PatientSex=sex)))
    sexes = prepare(sharper, run, CONFIG).set_index("id")["sex"]
    assert sexes["c"] == sexes["c-images-hires"] == "F"
    assert sexes["a"] == sexes["a-images-hires"] == "M"


def test_changed_sharper_images_are_noticed(sharper: Path, run: Run, image: Callable[[Path], Path]) -> None:
    prepare(sharper, run, CONFIG)
    image(sharper / "images-hires/b.png")
    assert list(prepare(sharper, run, CONFIG)["id"])[4:] == ["a-images-hires", "b-images-hires"]
    (sharper / "images-hires/a.webp").write_bytes(b"not an image")
    assert list(prepare(sharper, run, CONFIG)["id"])[4:] == ["b-images-hires"]
    before = (run.path / "manifest.csv").stat().st_mtime_ns
    prepare(sharper, run, CONFIG)
    assert (run.path / "manifest.csv").stat().st_mtime_ns == before
