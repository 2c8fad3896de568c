"""From a data set to a bundle that predicts, on sixty real hands: nothing is learnt, everything has to run."""

import shutil
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from boneage_roi.configs.schema import RoundConfig
from boneage_roi.errors import RejectedError
from boneage_roi.fusion.train import train_fusion
from boneage_roi.imaging.reading import read_radiograph
from boneage_roi.pipeline.bundle import Bundle
from boneage_roi.pipeline.reader import BoneAgeReader
from boneage_roi.quality.gate import Limit
from boneage_roi.regional_models import train as region_training
from boneage_roi.regional_models.train import train_region
from boneage_roi.regions import REGIONS, detected
from boneage_roi.runs.artefacts import FrameCache, read_boxes, read_readings
from boneage_roi.runs.run import Run
from boneage_roi.training.stages import train_everything
from boneage_roi.values import Radiograph
from tests.real.tiny import killed_at


@pytest.fixture(scope="module")
def predictor(tiny_run: Run) -> BoneAgeReader:
    return BoneAgeReader(tiny_run.bundle)


def held_out(run: Run, count: int) -> list[tuple[str, Radiograph]]:
    """Radiographs of hands that no stage has seen."""
    hands = run.manifest.query("split == 'test'").head(count)
    return [
        (
            hand["id"],
            read_radiograph(hand["path"], sex=hand["sex"], native_size=(int(hand["width"]), int(hand["height"]))),
        )
        for hand in hands.to_dict("records")
    ]


def metrics(run: Run, stage: str) -> dict[str, Any]:
    measured = run.metrics(stage)
    assert measured, stage
    return measured


def test_every_stage_leaves_its_metrics(tiny_run: Run) -> None:
    for stage in ("segmenter", "detector", *(f"regions/{region}" for region in REGIONS), "fusion"):
        assert metrics(tiny_run, stage)
    # One epoch from ImageNet already paints more of the hand than of what lies around it.
    assert metrics(tiny_run, "segmenter")["iou"] > 0.3
    assert metrics(tiny_run, "detector")["found"]["hands"] == (tiny_run.manifest.split == "test").sum()
    assert metrics(tiny_run, "fusion")["hands"] >= 5


def test_region_models_train_on_train_and_read_fusion(tiny_run: Run) -> None:
    counts = tiny_run.manifest.split.value_counts()
    measured = metrics(tiny_run, f"regions/{'hand'}")
    assert measured["train_images"] == counts["train"]
    assert measured["hands"] == counts["fusion"]
    readings = read_readings(tiny_run)
    assert set(readings) == set(tiny_run.manifest.query("split == 'fusion'").id)
    assert max(len(of_one) for of_one in readings.values()) == len(REGIONS)


def test_the_bundle_is_whole(tiny_run: Run) -> None:
    manifest = Bundle.load(tiny_run.bundle).manifest
    assert manifest.name == "tiny"
    assert set(manifest.regions) == set(REGIONS)
    assert "tiny" in (tiny_run.bundle / "MODEL_CARD.md").read_text(encoding="utf-8")


def test_held_out_hands_are_read(tiny_run: Run, predictor: BoneAgeReader) -> None:
    for _, radiograph in held_out(tiny_run, 3):
        read = predictor.predict(radiograph)
        assert 0 <= read.lower <= read.months <= read.upper
        assert read.sex == radiograph.sex
        assert read.region_age("hand") is not None
        for reading in read.readings:
            assert reading.distribution.sum() == pytest.approx(1, abs=1e-3)
        absent = {region for region in detected(REGIONS) if read.region_age(region) is None}
        assert {f"{region} not found" for region in absent} <= set(read.flags)


def test_a_hand_with_all_its_regions_is_read_by_all_models(tiny_run: Run, predictor: BoneAgeReader) -> None:
    boxes = read_boxes(tiny_run)
    key, radiograph = next((key, image) for key, image in held_out(tiny_run, 9) if key in boxes)
    analysis = replace(predictor.analyse(radiograph), boxes=tuple(boxes[key]))
    read = predictor.read(analysis)
    assert {reading.region: reading.crops for reading in read.readings} == {
        name: region.max_crops for name, region in REGIONS.items()
    }
    assert not any("found" in flag for flag in read.flags)
    other = predictor.read(analysis, "F" if radiograph.sex == "M" else "M")
    assert [reading.expected_age for reading in other.readings] != [reading.expected_age for reading in read.readings]


def test_a_hand_whose_regions_say_ages_far_apart_is_rejected(
    tiny_run: Run, predictor: BoneAgeReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    (_, radiograph), *_ = held_out(tiny_run, 1)
    gate = predictor._gate
    strict = replace(gate, limits=gate.limits | {"disagreement": Limit(reject=-1.0)})
    monkeypatch.setattr(predictor, "_gate", strict)
    with pytest.raises(RejectedError, match="regions disagree"):
        predictor.predict(radiograph)
    with pytest.raises(RejectedError, match="regions disagree"):
        predictor.predict(replace(radiograph, sex=None))


def test_prediction_sees_the_frames_that_training_saw(tiny_run: Run, predictor: BoneAgeReader) -> None:
    frames = FrameCache(tiny_run)
    for key, radiograph in held_out(tiny_run, 2):
        frame = predictor.analyse(radiograph).frame
        np.testing.assert_array_equal(frame.pixels, frames[key].pixels)
        np.testing.assert_allclose(frame.to_frame, frames[key].to_frame, rtol=1e-6)


def test_a_finished_run_is_skipped_from_end_to_end(copied_run: Run) -> None:
    before = {path: path.stat().st_mtime_ns for path in copied_run.path.rglob("*.onnx") if "bundle" not in path.parts}
    train_everything(copied_run)
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_a_killed_training_goes_on_where_it_was(copied_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = copied_run.path / "regions" / "carpal"
    for file in stage.iterdir():
        file.unlink() if file.is_file() else shutil.rmtree(file)
    config = copied_run.config
    rounds = (RoundConfig(epochs=1), RoundConfig(epochs=3, frozen_stages=1, augmentation=0.5))
    regions = config.regions | {"carpal": config.regions["carpal"].model_copy(update={"rounds": rounds})}
    copied_run.write_config(config.model_copy(update={"regions": regions}))

    first: list[int] = []
    monkeypatch.setattr(region_training.RegionTraining, "on_train_epoch_start", killed_at(2, first))
    with pytest.raises(InterruptedError):
        train_region(copied_run, "carpal")
    assert first == [0, 0, 1]
    assert copied_run.metrics(f"regions/{'carpal'}") is None

    then: list[int] = []
    monkeypatch.setattr(region_training.RegionTraining, "on_train_epoch_start", killed_at(99, then))
    train_region(copied_run, "carpal")
    assert then == [2]
    assert (stage / f"{'carpal'}.onnx").is_file()


def test_a_frozen_round_leaves_the_early_stages_as_they_are(copied_run: Run) -> None:
    stage = copied_run.path / "regions" / "carpal"
    for file in stage.iterdir():
        file.unlink() if file.is_file() else shutil.rmtree(file)
    config = copied_run.config
    rounds = (RoundConfig(epochs=1), RoundConfig(epochs=1, frozen_stages=1))
    regions = config.regions | {"carpal": config.regions["carpal"].model_copy(update={"rounds": rounds})}
    copied_run.write_config(config.model_copy(update={"regions": regions}))
    train_region(copied_run, "carpal")
    first, second = (torch.load(stage / f"round{number}.ckpt", weights_only=False)["state_dict"] for number in (1, 2))
    changed = {name for name in first if not torch.equal(first[name], second[name])}
    early = ("network.backbone.stem", "network.backbone.blocks.0.")
    assert changed
    assert not any(name.startswith(early) for name in changed)
    assert any(name.startswith("network.backbone.blocks.1.") for name in changed)


def test_the_same_seed_gives_the_same_fusion(copied_run: Run) -> None:
    before = (copied_run.path / "fusion" / "intervals.json").read_text()
    for file in (copied_run.path / "fusion").iterdir():
        file.unlink() if file.is_file() else shutil.rmtree(file)
    train_fusion(copied_run)
    assert (copied_run.path / "fusion" / "intervals.json").read_text() == before
