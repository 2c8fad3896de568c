"""What the networks are taught of a hand is what the table says of it."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from boneage_roi.fusion.train import load_hands
from boneage_roi.regional_models.train import load_samples
from boneage_roi.runs import layout
from boneage_roi.runs.artefacts import readings_path, write_boxes, write_readings
from boneage_roi.runs.run import Run
from boneage_roi.values import RegionBox, RegionReading
from tests.training.runs import SIZE, config, hands_of_every_split, write_frames, write_run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = write_run(tmp_path / "run", hands_of_every_split(8, 5, 4))
    write_frames(run)
    return run


@pytest.mark.parametrize("split", ["train", "fusion", "test"])
def test_18_17_every_sample_has_its_own_sex_and_age(run: Run, split: str) -> None:
    """The frames show both."""
    samples = load_samples(run, "hand", (32, 26), 0.0, split)
    assert len(samples) == (run.manifest.split == split).sum()
    assert {sample.male for sample in samples} == {0.0, 1.0}
    for sample in samples:
        (crop,) = sample.crops.pixels
        assert sample.male == (crop[len(crop) // 4].max() > 120)
        assert sample.boneage == pytest.approx(float(crop[3 * len(crop) // 4].max()), abs=1)


def test_only_train_hands_have_crops_of_a_bad_export(run: Run) -> None:
    for split in ("train", "fusion"):
        for sample in load_samples(run, "hand", (32, 26), 0.0, split):
            assert (sample.bad_export is not None) == (split == "train")
            if sample.bad_export is not None:
                assert sample.bad_export.pixels.shape == sample.crops.pixels.shape
                assert abs(float(sample.bad_export.pixels.mean()) - float(sample.crops.pixels.mean()) / 2) < 2


def test_18_18_the_boxes_that_were_found_are_what_a_region_is_trained_on(tmp_path: Path) -> None:
    """Of each hand its own box is cut; hands without one are left out."""
    run = write_run(tmp_path / "run", hands_of_every_split(6, 3), config(regions={"carpal": {"size": (20, 20)}}))
    write_frames(run)
    hands = run.manifest
    run.stage(layout.BOXES)
    halves = {"M": (0.0, 0.0, SIZE[1], SIZE[0] / 2), "F": (0.0, SIZE[0] / 2, SIZE[1], SIZE[0])}
    sexes = zip(hands.id, hands.sex, strict=True)
    found = {str(key): [RegionBox("carpal", halves[str(sex)], 0.8)] for key, sex in sexes}
    absent = hands.id[hands.split == "train"].iloc[0]
    found[absent] = [RegionBox("metacarpal", halves["M"], 0.9)]
    write_boxes(run, found)
    samples = load_samples(run, "carpal", (20, 20), 0.0, "train")
    expected = hands[(hands.split == "train") & (hands.id != absent)]
    assert [sample.boneage for sample in samples] == expected.boneage.tolist()
    for sample, sex in zip(samples, expected.sex, strict=True):
        assert sample.crops.confidence == pytest.approx(0.8)
        middle = sample.crops.pixels[0, sample.crops.pixels.shape[1] // 2]
        grey = 200 if sex == "M" else sample.boneage
        assert abs(float(middle.max()) - grey) < 2


def test_the_fusion_learns_from_the_sex_and_age_of_each_hand(tmp_path: Path) -> None:
    """Readings that are kept in another order than the table's."""
    run = write_run(tmp_path / "run", hands_of_every_split(3, 9, 5))
    hands = run.manifest[run.manifest.split == "fusion"]
    readings = {}
    mixed = hands.sample(frac=1, random_state=0)
    for key, sex, age in zip(mixed.id, mixed.sex, mixed.boneage, strict=True):
        distribution = np.zeros(240, np.float32)
        distribution[int(age)] = 1
        readings[str(key)] = RegionReading("hand", distribution, np.array([sex == "M", 1], np.float32), 1)
    path = readings_path(run, "hand", "fusion")
    write_readings(path, readings)
    stacked, ages = load_hands(run)
    assert ages.tolist() == hands.boneage.tolist()
    np.testing.assert_array_equal(stacked.distributions[:, 0].argmax(-1), ages)
    np.testing.assert_array_equal(stacked.features[:, 0, 0], stacked.sex)
