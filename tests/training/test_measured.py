"""What a stage says of itself was measured on what it has not learnt from."""

import json
from pathlib import Path

import pandas as pd
import pytest

pytest.importorskip("torch")

from boneage_roi.quality.gate import Gate
from boneage_roi.quality.measures import parts
from boneage_roi.quality.train import train_gate
from boneage_roi.regions import detected
from boneage_roi.runs import layout
from boneage_roi.runs.run import Run
from boneage_roi.segmentation import train as segmenter_training
from boneage_roi.segmentation.train import train_segmenter
from tests.training.runs import config, hands_of_every_split, write_run

REGIONS = ("hand", "radius-ulna", "carpal", "metacarpal", "phalanx", "epiphysis")


def gate_run(path: Path, images: pd.DataFrame) -> Run:
    regions = {name: {"size": (16, 16)} for name in REGIONS}
    run = write_run(path, hands_of_every_split(4, 3), config(regions=regions))
    run.begin(layout.QUALITY)
    images.to_csv(run.stage(layout.QUALITY) / layout.MEASURES_FILE, index=False)
    return run


def measured(kinds: list[str], **changes: dict[str, float]) -> pd.DataFrame:
    """Images that all measure alike, but for the measures of some kinds."""
    images = pd.DataFrame({"kind": kinds})
    for name in (*parts(detected(REGIONS)), "size", "contrast", "edge", "forearm", "clipped"):
        images[name] = 1.0
    images["second_hand"] = 0.0
    for name in ("digits", "growth_plates", "noise", "blocks", "disagreement", "moved"):
        images[name] = 1.0
    for kind, measures in changes.items():
        for name, value in measures.items():
            images.loc[images.kind == kind, name] = value
    return images


def test_18_17_the_gate_is_measured_on_images_that_it_has_not_learnt_from(tmp_path: Path) -> None:
    """There is one chest, and it is known by what no other image tells: only a gate that has seen it refuses it."""
    kinds = ["hand"] * 20 + ["finger"] * 12 + ["chest"]
    images = measured(kinds, finger={"landmarks": 0.0}, chest={"carpal": 0.0})
    refused = train_gate(gate_run(tmp_path / "run", images))["rejected"]
    assert refused == {"chest": 0, "finger": 1, "hand": 0}
    shipped = Gate.read(tmp_path / "run" / layout.QUALITY / layout.GATE_FILE)
    assert shipped.judge(
        {name: float(images[name].iloc[-1]) for name in parts(detected(REGIONS))}
    ).rejections  # which has seen all


def outline(number: int) -> list[list[list[float]]]:
    return [[[0.2, 0.1], [0.8, 0.1], [0.8, 0.99], [0.2, 0.99 - 0.01 * number]]]


def segmenter_run(path: Path) -> Run:
    """Of each split some hands with an outline and key points, and some of which nobody drew any."""
    splits = {"train": (3, 4), "fusion": (2, 5), "test": (1, 6)}
    rows = [
        (f"{split}-{'drawn' if number < drawn else 'plain'}-{number}", split)
        for split, (drawn, plain) in splits.items()
        for number in range(drawn + plain)
    ]
    hands = pd.DataFrame(rows, columns=["id", "split"]).assign(sex="F", boneage=100.0)
    run = write_run(path, hands)
    drawn = [key for key in hands.id if "drawn" in key]
    points = [[0.5, 0.7, 2.0]] * 9 + [[0.5, 0.4, 2.0]] * 12
    annotations = run.path / layout.ANNOTATIONS
    annotations.mkdir()
    polygons = {key: outline(number) for number, key in enumerate(drawn)}
    (annotations / "polygons.json").write_text(json.dumps(polygons))
    (annotations / "keypoints.json").write_text(json.dumps({key: {"keypoints": points} for key in drawn}))
    return run


@pytest.fixture(scope="module")
def trusting(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """What the segmenter measures when every mask of its own is accepted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segmenter_training, "CONFIDENT", 0.0)
        patch.setattr(segmenter_training, "SMALLEST_HAND", 0.0)
        return train_segmenter(segmenter_run(tmp_path_factory.mktemp("segmenter") / "run"))


def test_18_17_pseudo_masks_are_of_train_hands_that_nobody_outlined(trusting: dict[str, float]) -> None:
    assert trusting["pseudo_masks"] == 4


def test_18_17_the_segmenter_is_measured_on_hands_outside_its_training(trusting: dict[str, float]) -> None:
    assert trusting["outlines"] == 3
    assert trusting["landmark_hands"] == 3


def test_masks_that_are_not_sure_are_not_learnt_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segmenter_training, "CONFIDENT", 1.01)
    monkeypatch.setattr(segmenter_training, "SMALLEST_HAND", 0.0)
    assert train_segmenter(segmenter_run(tmp_path / "run"))["pseudo_masks"] == 0
