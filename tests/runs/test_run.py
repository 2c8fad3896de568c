"""A run knows what its stages are made of, and refuses those that no longer fit."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from boneage_roi.configs.schema import SplitConfig, TrainConfig
from boneage_roi.errors import InputError
from boneage_roi.runs import layout
from boneage_roi.runs.reuse import reuse
from boneage_roi.runs.run import Run
from boneage_roi.training.prepare import prepare

CONFIG = TrainConfig.load("default")
CARPAL = layout.region_stage("carpal")
ANNOTATIONS = ("boxes.csv", "keypoints.json", "polygons.json")


@pytest.fixture
def dataset(tmp_path: Path, image: Callable[[Path], Path]) -> Path:
    """Three hands, one with a key point."""
    for name in "abc":
        image(tmp_path / f"data/{name}.png")
    rows = [f"{name}.png,F,{age},{split}" for name, age, split in zip("abc", (30, 60, 90), _SPLITS, strict=True)]
    (tmp_path / "data/hands.csv").write_text("\n".join(["path,sex,boneage,split", *rows]))
    return tmp_path / "data"


_SPLITS = ("train", "fusion", "test")


def finish(run: Run, stage: str, content: str = "network") -> None:
    """Stands for the training of a stage: its network and its metrics."""
    run.begin_anew(stage)
    (run.stage(stage) / "output").write_text(content)
    run.finish(stage, {"mae": 1.0}, outputs=["output"])


@pytest.fixture
def run(tmp_path: Path, dataset: Path) -> Run:
    """Trained up to one region's network."""
    run = Run(tmp_path / "run")
    prepare(dataset, run, CONFIG)
    for stage in ("segmenter", "frames", "detector", "boxes", CARPAL):
        finish(run, stage)
    return run


def with_region(config: TrainConfig, region: str, **settings: object) -> TrainConfig:
    changed = config.regions[region].model_copy(update=settings)
    return config.model_copy(update={"regions": config.regions | {region: changed}})


def test_a_finished_stage_fits(run: Run) -> None:
    assert run.require("segmenter", "detector", CARPAL) == [{"mae": 1.0}] * 3
    assert run.begin(CARPAL) == {"mae": 1.0}


def test_a_stage_of_other_settings_is_refused_and_told_how_to_train_it_anew(run: Run, dataset: Path) -> None:
    prepare(dataset, run, with_region(CONFIG, "carpal", margin=0.8))
    run.require("segmenter", "detector")
    for ask in (run.require, run.begin):
        with pytest.raises(InputError) as error:
            ask(CARPAL)
        message = str(error.value)
        assert "regions.carpal.margin is 0.8 and was 0.1" in message
        assert f"boneage-roi train-region carpal --run {run.path} --retrain" in message
        assert "\n" not in message


def test_settings_of_other_stages_do_not_matter(run: Run, dataset: Path) -> None:
    config = with_region(CONFIG, "phalanx", margin=0.8).model_copy(update={"name": "other", "license_note": "mine"})
    prepare(dataset, run, config)
    run.require("segmenter", "detector", CARPAL)


def test_the_old_settings_fit_again(run: Run, dataset: Path) -> None:
    prepare(dataset, run, with_region(CONFIG, "carpal", margin=0.8))
    prepare(dataset, run, CONFIG)
    run.require(CARPAL)


def test_hands_that_were_added_are_noticed(run: Run, dataset: Path, image: Callable[[Path], Path]) -> None:
    image(dataset / "d.png")
    with (dataset / "hands.csv").open("a") as file:
        file.write("\nd.png,M,40,train")
    prepare(dataset, run, CONFIG)
    with pytest.raises(InputError, match="the run has 4 images and had 3"):
        run.require(CARPAL)


def test_a_changed_label_is_noticed(run: Run, dataset: Path) -> None:
    table = dataset / "hands.csv"
    table.write_text(table.read_text().replace("F,30", "F,31"))
    prepare(dataset, run, CONFIG)
    with pytest.raises(InputError, match="ages, sexes, sizes or splits of hands changed"):
        run.require("segmenter")


def test_a_replaced_image_is_noticed_without_preparing_again(run: Run, dataset: Path) -> None:
    (dataset / "a.png").write_bytes((dataset / "a.png").read_bytes() + b"more")
    with pytest.raises(InputError, match="the segmenter no longer fits: images of hands were replaced"):
        run.require("segmenter")
    assert run.begin_anew("frames")


def test_an_image_that_was_only_touched_is_the_same(run: Run, dataset: Path) -> None:
    content = (dataset / "a.png").read_bytes()
    (dataset / "a.png").unlink()
    (dataset / "a.png").write_bytes(content)
    run.require("segmenter")
    assert not run.begin_anew("frames")


def test_images_that_are_gone_were_not_replaced(run: Run, dataset: Path) -> None:
    (dataset / "a.png").unlink()
    run.require("segmenter", CARPAL)


def test_a_data_set_that_moved_is_the_same(run: Run, dataset: Path, tmp_path: Path) -> None:
    moved = dataset.rename(tmp_path / "elsewhere")
    prepare(moved, run, CONFIG)
    run.require("segmenter", CARPAL)


def test_changed_annotations_are_noticed(run: Run, dataset: Path) -> None:
    (dataset / "annotations").mkdir()
    (dataset / "annotations/boxes.csv").write_text("id,source,label,xmin,ymin,xmax,ymax\na,me,PIP,0.1,0.2,0.3,0.4\n")
    prepare(dataset, run, CONFIG)
    with pytest.raises(InputError, match="the annotations changed"):
        run.require("segmenter")


def test_another_segmenter_makes_what_rests_on_it_stale(run: Run) -> None:
    run.clear("segmenter")
    finish(run, "segmenter", "another network")
    run.require("segmenter")
    with pytest.raises(InputError, match="the detector no longer fits: the segmenter changed since"):
        run.require("detector")


def test_the_same_segmenter_trained_again_changes_nothing(run: Run) -> None:
    run.clear("segmenter")
    finish(run, "segmenter")
    run.require("segmenter", "detector", CARPAL)
    assert not run.begin_anew("frames")


def test_what_is_made_without_a_training_is_made_anew(run: Run, dataset: Path) -> None:
    prepare(dataset, run, CONFIG.model_copy(update={"frame_size": (256, 208)}))
    assert run.begin_anew("frames")
    assert not (run.path / "frames/output").exists()
    finish(run, "frames")
    with pytest.raises(InputError, match="frame_size is \\[256, 208\\] and was \\[512, 416\\]"):
        run.require("detector")


def test_a_half_trained_stage_does_not_go_on_with_other_settings(run: Run, dataset: Path) -> None:
    stage = layout.region_stage("metacarpal")
    assert run.begin(stage) is None
    (run.path / stage / "round1.ckpt").write_text("half")
    assert run.begin(stage) is None
    prepare(dataset, run, with_region(CONFIG, "metacarpal", margin=0.8))
    with pytest.raises(InputError, match=r"regions\.metacarpal\.margin"):
        run.begin(stage)
    run.clear(stage)
    assert run.begin(stage) is None


def test_a_stage_of_an_earlier_version_is_refused(run: Run) -> None:
    (run.path / CARPAL / layout.FINGERPRINT).unlink()
    with pytest.raises(InputError, match="a version that did not record what it was made of"):
        run.require(CARPAL)


def test_a_missing_stage_names_its_command(run: Run) -> None:
    with pytest.raises(InputError, match=f"not trained yet; run `boneage-roi train-fusion --run {run.path}` first"):
        run.require("segmenter", "fusion")


@pytest.mark.parametrize("name", [layout.METRICS, layout.FINGERPRINT])
@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"{}" * 3])
def test_18_14_a_damaged_note_of_a_stage_is_one_line(run: Run, name: str, content: bytes) -> None:
    (run.path / "detector" / name).write_bytes(content)
    with pytest.raises(InputError, match=r"damaged; `boneage-roi train-detector --run .* --retrain`"):
        run.require("detector")
    (run.path / "boxes" / name).write_bytes(content)
    run.clear("detector")
    finish(run, "detector")
    assert run.begin_anew("boxes")


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "id,path,sex,boneage,width,height,split\n", '"'])
def test_18_14_a_foreign_manifest_is_one_line(run: Run, content: str) -> None:
    (run.path / layout.MANIFEST).write_text(content)
    with pytest.raises(InputError, match="prepare the run again"):
        _ = run.manifest


def test_18_14_a_damaged_note_of_the_preparation_prepares_again(run: Run, dataset: Path) -> None:
    (run.path / layout.PREPARED).write_text("{")
    assert len(prepare(dataset, run, CONFIG)) == 3
    assert json.loads((run.path / layout.PREPARED).read_text())
    run.require(CARPAL)


@pytest.mark.parametrize("name", ["manifest.csv", *(f"annotations/{name}" for name in ANNOTATIONS)])
@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"a,b\n1,2\n", b"\xff\xfe"])
def test_18_14_what_a_preparation_left_damaged_is_one_line_and_prepared_again(
    run: Run, dataset: Path, name: str, content: bytes
) -> None:
    whole = (run.path / name).read_bytes()
    (run.path / name).write_bytes(content)
    with pytest.raises(InputError, match="prepare the run again") as caught:
        _ = run.manifest, run.annotated_boxes, run.annotated("keypoints.json"), run.annotated("polygons.json")
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)
    prepare(dataset, run, CONFIG)
    assert (run.path / name).read_bytes() == whole
    run.require(CARPAL)


def test_18_5_the_folder_of_the_data_set_is_no_run(dataset: Path) -> None:
    before = (dataset / "hands.csv").read_text()
    for given in (dataset, dataset / "hands.csv"):
        with pytest.raises(InputError, match="give the run a folder of its own"):
            prepare(given, Run(dataset), CONFIG)
    assert sorted(path.name for path in dataset.iterdir()) == ["a.png", "b.png", "c.png", "hands.csv"]
    assert (dataset / "hands.csv").read_text() == before


def test_18_5_a_file_is_no_run(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(InputError, match=r"note\.txt: is a file; give the run a folder of its own"):
        prepare(dataset, Run(tmp_path / "note.txt"), CONFIG)
    assert (tmp_path / "note.txt").read_text() == "mine"


@pytest.mark.parametrize("name", ["manifest.csv", "annotations/boxes.csv", "config.yaml", "bundle/x", "run.json"])
def test_18_5_a_folder_with_foreign_files_is_no_run(dataset: Path, tmp_path: Path, name: str) -> None:
    file = tmp_path / "foreign" / name
    file.parent.mkdir(parents=True)
    file.write_text("mine")
    with pytest.raises(InputError, match="which no training run wrote"):
        prepare(dataset, Run(tmp_path / "foreign"), CONFIG)
    assert file.read_text() == "mine"
    assert len(list((tmp_path / "foreign").rglob("*.*"))) <= 1


def test_18_5_a_run_of_its_own_manifest_is_refused(run: Run) -> None:
    with pytest.raises(InputError, match="the data set lies in this folder"):
        prepare(run.path / layout.MANIFEST, run, CONFIG)
    assert len(run.manifest) == 3


def test_an_interrupted_preparation_can_be_repeated(run: Run, dataset: Path) -> None:
    for name in (layout.MANIFEST, layout.PREPARED, layout.CONFIG):
        (run.path / name).unlink()
    assert len(prepare(dataset, run, CONFIG)) == 3


def test_new_split_shares_are_refused_once_a_stage_is_trained(run: Run, dataset: Path) -> None:
    with pytest.raises(InputError, match="other split shares"):
        prepare(dataset, run, CONFIG.model_copy(update={"split": SplitConfig(fusion=0.3)}))


def test_a_run_takes_over_what_another_has_made_of_the_same(run: Run, dataset: Path, tmp_path: Path) -> None:
    other = Run(tmp_path / "other")
    prepare(dataset, other, with_region(CONFIG, "carpal", margin=0.8))
    assert reuse(other, run) == ["segmenter", "frames", "detector", "boxes"]
    assert other.require("segmenter", "detector") == [{"mae": 1.0}] * 2
    assert (other.path / "frames/output").samefile(run.path / "frames/output")
    assert other.metrics(CARPAL) is None
    other.clear("frames")
    assert (run.path / "frames/output").read_text() == "network"


def test_a_run_takes_nothing_over_that_was_made_of_other_hands(run: Run, dataset: Path, tmp_path: Path) -> None:
    table = dataset / "hands.csv"
    table.write_text(table.read_text().replace("30", "31"))
    other = Run(tmp_path / "other")
    prepare(dataset, other, CONFIG)
    assert reuse(other, run) == []
    with pytest.raises(InputError, match="its own stages"):
        reuse(other, Run(tmp_path / "run/../other"))
    with pytest.raises(InputError, match="not a run folder"):
        reuse(other, Run(tmp_path / "nothing"))
