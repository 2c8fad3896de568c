"""What a stage learns from and what it says of itself is what its exported network sees and says."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

pytest.importorskip("torch")

import torch
from torch.nn import functional

from boneage_roi.configs.schema import RegionConfig, RoundConfig
from boneage_roi.detection.dataset import write_dataset
from boneage_roi.detection.train import found_shares, train_detector
from boneage_roi.detection.yolo import CHECKPOINT, train_yolo
from boneage_roi.errors import InputError
from boneage_roi.learning.checkpoints import load_tensors
from boneage_roi.quality.train import train_gate
from boneage_roi.regional_models.crops import AS_IT_IS
from boneage_roi.regional_models.networks import build_network
from boneage_roi.regional_models.runtime import RegionReader
from boneage_roi.regional_models.train import RegionTraining, load_samples, train_region
from boneage_roi.runs import layout
from boneage_roi.runs.artefacts import (
    CORNERS,
    FrameCache,
    read_boxes,
    read_readings,
    readings_path,
    write_boxes,
    write_readings,
)
from boneage_roi.runs.run import Run
from boneage_roi.training.artefacts import cache_boxes
from boneage_roi.values import RegionBox, RegionReading
from tests.detection.test_runtime import bright_spot_detector
from tests.learning.test_fitting import Bomb
from tests.training.runs import SIZE, config, hands_of_every_split, write_frames, write_run

SMALL: dict[str, Any] = {"stages": 3, "size": (32, 24), "weights": "none", "batch": 4, "rounds": [{"epochs": 1}]}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Frames of hands in every split, and a carpal box on most of them, each elsewhere."""
    run = write_run(tmp_path / "run", hands_of_every_split(8, 6, 2), config(regions={"hand": SMALL, "carpal": SMALL}))
    write_frames(run)
    run.stage(layout.BOXES)
    boxes = {
        str(key): [RegionBox("carpal", (5.0 + n, 10.0 + n, 25.0 + n, 40.0 + n), 0.9)]
        for n, key in enumerate(run.manifest.id[:-1])
    }
    write_boxes(run, boxes)
    return run


@pytest.mark.parametrize("region", ["hand", "carpal"])
def test_18_18_the_error_that_train_region_says_is_that_of_its_exported_network(run: Run, region: str) -> None:
    said = train_region(run, region)
    reader = RegionReader(run.network(f"regions/{region}"), region, size=(32, 24), margin=0.1, views=[AS_IT_IS])
    frames, boxes, errors = FrameCache(run), read_boxes(run), []
    for hand in run.manifest[run.manifest.split == "fusion"].itertuples():
        read = reader(frames[str(hand.id)], boxes.get(str(hand.id), []), "M" if hand.sex == "M" else "F")
        if read is not None:
            errors.append(abs(read.expected_age - float(str(hand.boneage))))
    assert said["hands"] == len(errors)
    assert said["mae"] == pytest.approx(float(np.mean(errors)), abs=0.05)
    assert said["split"] == "fusion"


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x93NUMPY", b"id,region\n1,carpal\n", b"\xff\xfe\0"])
def test_18_14_what_a_stage_left_damaged_is_one_line(run: Run, content: bytes) -> None:
    readings = {
        str(key): RegionReading("hand", np.full(240, 1 / 240, np.float32), np.ones(3, np.float32), 1) for key in "ab"
    }
    paths = [readings_path(run, region, "fusion") for region in ("hand", "carpal")]
    for path in paths:
        write_readings(path, readings)
    frames = [run.path / layout.FRAMES / name for name in layout.FRAME_FILES]
    reads: list[tuple[Path, Callable[[], object]]] = [(path, lambda: read_readings(run)) for path in paths]
    reads += [(path, lambda: FrameCache(run)) for path in frames]
    reads += [(run.path / layout.BOXES / layout.BOXES_FILE, lambda: read_boxes(run))]
    for path, read in reads:
        kept = path.read_bytes()
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"damaged, or no file of this run; delete .* makes it anew") as caught:
            read()
        assert str(path) in str(caught.value)
        path.write_bytes(kept)
        read()


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"\xff\xfe\0"])
@pytest.mark.parametrize(
    ("stage", "name", "learn"),
    [(layout.DETECTOR, layout.LABELS_FILE, train_detector), (layout.QUALITY, layout.MEASURES_FILE, train_gate)],
)
def test_18_14_what_a_training_goes_on_from_is_one_line_when_it_is_damaged(
    run: Run, stage: str, name: str, learn: Callable[[Run], object], content: bytes
) -> None:
    run.finish(layout.FRAMES, {})
    run.begin(stage)
    (run.stage(stage) / name).write_bytes(content)
    with pytest.raises(InputError, match=r"damaged, or no file of this run; delete .* makes it anew") as caught:
        learn(run)
    assert name in str(caught.value)


def test_18_14_a_run_with_fewer_regions_says_which_readings_are_missing(run: Run) -> None:
    with pytest.raises(InputError, match=r"no readings of hand of the fusion hands; `boneage-roi train-fusion --run"):
        read_readings(run)


def test_a_region_that_was_found_on_no_held_out_hand_has_no_error(run: Run) -> None:
    """And no number that is none."""
    kept = set(run.manifest.id[run.manifest.split == "train"].astype(str))
    write_boxes(run, {key: boxes for key, boxes in read_boxes(run).items() if key in kept})
    said = train_region(run, "carpal")
    assert said["hands"] == 0
    assert "mae" not in said


def test_18_18_what_the_detector_finds_is_what_a_region_is_trained_on(run: Run) -> None:
    """A detector that boxes what is bright, and frames with a bright place of their own each."""
    pixels, *_ = layout.FRAME_FILES
    frames = np.zeros((len(run.manifest), *SIZE), np.uint8)
    for number, frame in enumerate(frames):
        frame[12 + number : 32 + number, 6 + number : 22 + number] = 140 + 5 * number
    np.save(run.stage(layout.FRAMES) / pixels, frames)
    (run.path / "boxes" / layout.BOXES_FILE).unlink()
    run.begin(layout.DETECTOR)
    bright_spot_detector(run.network(layout.DETECTOR), 256, number=0)
    run.finish(layout.DETECTOR, {"regions": ["carpal"]}, outputs=[])
    cache_boxes(run)
    for number, key in enumerate(run.manifest.id):
        (box,) = read_boxes(run)[str(key)]
        assert box.region == "carpal"
        np.testing.assert_allclose(box.box, (6 + number, 12 + number, 22 + number, 32 + number), atol=1)
    samples = load_samples(run, "carpal", (32, 24), 0.0, "train")
    taught = np.flatnonzero(run.manifest.split == "train").tolist()
    assert [sample.boneage for sample in samples] == run.manifest.boneage.iloc[taught].tolist()
    for sample, place in zip(samples, taught, strict=True):
        assert abs(float(np.median(sample.crops.pixels)) - (140 + 5 * place)) <= 2
        centre = sample.crops.places[0, :2] * [SIZE[1], SIZE[0]]
        np.testing.assert_allclose(centre, (14 + place, 22 + place), atol=1)


def test_18_18_the_sex_that_is_learnt_beside_the_age_adds_its_weighted_loss() -> None:
    torch.manual_seed(0)
    settings = RegionConfig(**(SMALL | {"sex_loss_weight": 1.0}))
    network = build_network(settings)
    random = np.random.default_rng(0)
    sex = torch.tensor([0.0, 1, 1, 0])
    batch = (
        torch.from_numpy(random.random((4, 1, 1, 32, 24), np.float32)),
        torch.ones(4, 1),
        torch.from_numpy(random.random((4, 1, 4), np.float32)),
        sex,
        torch.tensor([60.0, 90, 120, 150]),
    )

    def loss(weight: float) -> float:
        module = RegionTraining(network, settings.model_copy(update={"sex_loss_weight": weight}), RoundConfig(epochs=1))
        module.log_dict = lambda *_, **__: None  # type: ignore[method-assign]
        return float(module.training_step(batch, 0).detach())

    network.eval()  # the same of every batch
    guess = network.outputs(*batch[:4]).sex
    assert guess is not None
    beside = float(functional.binary_cross_entropy_with_logits(guess, sex).detach())
    assert beside > 0.1
    assert loss(1) - loss(0) == pytest.approx(beside, rel=1e-3)
    assert loss(3) - loss(0) == pytest.approx(3 * beside, rel=1e-3)
    assert build_network(RegionConfig(**SMALL)).outputs(*batch[:4]).sex is None


@pytest.mark.parametrize("linked", [False, True], ids=["folder", "link"])
def test_18_8_what_lies_in_the_detectors_data_is_neither_run_nor_learnt_from(run: Run, linked: bool) -> None:
    """Ultralytics unpickles ``labels/train.cache``, and takes ``NAME.npy`` for the pixels of ``NAME.png``."""
    folder, key = run.stage(layout.DETECTOR) / "data", str(run.manifest.id[run.manifest.split == "train"].iloc[0])
    place = run.path / "elsewhere" if linked else folder
    strangers = [place / "labels/train.cache", place / f"images/train/{key}.npy"]
    for stranger in strangers:
        stranger.parent.mkdir(parents=True)
        np.save(stranger.open("wb"), np.array(Bomb(run.path / "executed"), object), allow_pickle=True)
    if linked:
        folder.symlink_to(place)
    other = str(run.manifest.id[run.manifest.split == "fusion"].iloc[0])
    rows = [(hand, "carpal", 5.0, 10.0, 25.0, 40.0) for hand in (key, other)]
    data = write_dataset(run, pd.DataFrame(rows, columns=["id", "region", *CORNERS]), folder, 64)
    settings = {"data": str(data), "epochs": 1, "imgsz": 64, "batch": 1, "nbs": 1, "seed": 5, "workers": 0}
    settings |= {"project": str(data.parent), "name": "yolo", "exist_ok": True, "pretrained": False}
    settings |= {"optimizer": "AdamW", "amp": False, "val": False, "plots": False, "verbose": False, "mosaic": 0.0}
    train_yolo(settings, data.parent, seed=5)
    assert not (run.path / "executed").exists()
    assert all(path.exists() for path in strangers) is linked  # what a link leads to stays
    assert not (folder / f"images/train/{key}.npy").exists()


def test_18_18_a_detector_that_was_killed_and_resumed_is_the_same(tmp_path: Path) -> None:
    data = drawn_dataset(tmp_path / "data")

    def trained(folder: Path, die_after: int = 10**6) -> dict[str, Any]:
        folder.mkdir(exist_ok=True)
        batches = iter(range(1, 10**6))

        def progress(*_: object) -> None:
            if next(batches) == die_after:
                raise InterruptedError("killed")

        settings = {"data": str(data), "epochs": 3, "imgsz": 64, "batch": 2, "nbs": 2, "seed": 5, "workers": 0}
        settings |= {
            "project": str(folder),
            "name": "yolo",
            "exist_ok": True,
            "pretrained": False,
            "optimizer": "AdamW",
        }
        settings |= {"lr0": 1e-3, "mosaic": 0.0, "amp": False, "val": False, "plots": False, "verbose": False}
        train_yolo(settings, folder, seed=5, progress=progress)
        return load_tensors(folder / CHECKPOINT)

    whole = trained(tmp_path / "whole")
    with pytest.raises(InterruptedError):
        trained(tmp_path / "killed", die_after=5)  # in the third of three epochs of two batches
    assert load_tensors(tmp_path / "killed" / CHECKPOINT)["epoch"] == 1
    resumed = trained(tmp_path / "killed")
    assert resumed["epoch"] == whole["epoch"] == 2
    for name in ("model", "ema"):
        assert all(torch.equal(value, resumed[name][key]) for key, value in whole[name].items())
    before = (tmp_path / "whole" / CHECKPOINT).stat().st_mtime_ns
    trained(tmp_path / "whole")  # is finished: nothing is trained again
    assert (tmp_path / "whole" / CHECKPOINT).stat().st_mtime_ns == before
    torch.save({"epoch": 0, "model": {}}, tmp_path / "killed" / CHECKPOINT)
    with pytest.raises(InputError, match="not a checkpoint of this detector"):
        trained(tmp_path / "killed")


def drawn_dataset(folder: Path) -> Path:
    """Four pictures to learn from and one to measure on, each with a bright box."""
    random = np.random.default_rng(0)
    for number in range(5):
        part = "train" if number < 4 else "val"
        picture = random.integers(0, 60, (64, 64), dtype=np.uint8)
        picture[10 + number : 40, 20:50] = 200
        for kind in ("images", "labels"):
            (folder / kind / part).mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(folder / "images" / part / f"{number}.png"), picture)
        (folder / "labels" / part / f"{number}.txt").write_text("0 0.55 0.4 0.45 0.45\n")
    (folder / "data.yaml").write_text(f"path: {folder}\ntrain: images/train\nval: images/val\nnames: {{0: carpal}}\n")
    return folder / "data.yaml"


def test_without_test_hands_the_detector_is_measured_on_none(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", hands_of_every_split(3, 2), config(regions={"carpal": SMALL}))
    write_frames(run)
    assert found_shares(run, lambda frame: []) == {"hands": 0}  # type: ignore[arg-type]
