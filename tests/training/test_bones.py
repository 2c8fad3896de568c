"""What a run's bundle learns of its single bones."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from boneage_roi.pipeline.reader import BoneAgeReader
from boneage_roi.regional_models.crops import crop_boxes
from boneage_roi.runs import layout
from boneage_roi.runs.artefacts import write_boxes
from boneage_roi.runs.run import Run
from boneage_roi.training.bones import FEWEST, measure_bones
from boneage_roi.values import HandFrame, RegionBox, RegionReading
from tests.training.runs import hands_of_every_split, write_frames, write_run


class TooYoung:
    """Says of every crop half of the age that the frame's grey tells, and 20 months."""

    def each(
        self, frame: HandFrame, boxes: list[RegionBox], sex: str, turns: Any, whole: RegionReading | None
    ) -> list[RegionReading]:
        months = round(20 + float(frame.pixels[-1, 0]) / 2)
        distribution = np.eye(240, dtype=np.float32)[months]
        return [
            RegionReading("carpal", distribution, np.zeros(4, np.float32), 1)
            for _ in crop_boxes(frame, boxes, "carpal")
        ]


def reader(**readers: Any) -> BoneAgeReader:
    return cast(BoneAgeReader, SimpleNamespace(readers=readers))


def run_with_boxes(path: Path, fusion: int) -> Run:
    run = write_run(path, hands_of_every_split(6, fusion, 4))
    write_frames(run)
    run.stage(layout.BOXES)
    box = RegionBox("carpal", (10, 20, 30, 40), 0.9)
    write_boxes(run, {str(key): [box] for key in run.manifest.id})
    return run


def test_a_line_takes_what_a_bone_says_to_the_age_that_such_bones_have(tmp_path: Path) -> None:
    scales = measure_bones(run_with_boxes(tmp_path, fusion=40), reader(carpal=TooYoung(), hand=None))
    assert list(scales) == ["carpal"]
    assert scales["carpal"].hands == 40
    assert scales["carpal"].slope == pytest.approx(2, abs=0.05)
    assert scales["carpal"].offset == pytest.approx(-40, abs=5)
    assert scales["carpal"].error < 2


def test_too_few_hands_give_no_line_and_a_bundle_without_bones_none(tmp_path: Path) -> None:
    run = run_with_boxes(tmp_path, fusion=FEWEST - 1)
    assert measure_bones(run, reader(carpal=TooYoung())) == {}
    assert measure_bones(run, reader(hand=None)) == {}
