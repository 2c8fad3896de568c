"""A run of version 0.1 can be taken over."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from boneage_roi.configs.schema import TrainConfig
from boneage_roi.errors import InputError
from boneage_roi.runs import layout, plan
from boneage_roi.runs.run import Run
from boneage_roi.training.adopt import adopt
from boneage_roi.training.prepare import prepare

CONFIG = TrainConfig.load("default")


def write(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("made")


def test_finished_stages_are_taken_over_and_the_others_are_not(tmp_path: Path, image: Callable[[Path], Path]) -> None:
    rows = [f"{image(tmp_path / f'data/{name}.png').name},F,30" for name in "abc"]
    (tmp_path / "data/hands.csv").write_text("\n".join(["path,sex,boneage", *rows]))
    run = Run(tmp_path / "run")
    prepare(tmp_path / "data", run, CONFIG)
    for stage in ("segmenter", "detector", "regions/hand"):
        write(run.network(stage))
        metrics = {"found": {"hands": 9, "carpal": {}, "radius-ulna": {}}} if stage == "detector" else {"mae": 1.0}
        (run.path / stage / layout.METRICS).write_text(json.dumps(metrics))
    write(run.network("regions/carpal"))  # not finished
    for name in ("frames/frames.csv", "boxes.csv", "readings/fusion/hand.npz"):
        write(run.path / name)
    with pytest.raises(InputError, match="did not record"):
        run.require("segmenter")
    adopted = ["segmenter", "frames", "detector", "boxes", "regions/hand", "readings/fusion/hand"]
    assert adopt(run) == adopted
    assert [metrics["mae"] for metrics in run.require("segmenter", "regions/hand")] == [1.0, 1.0]
    assert run.require("detector")[0]["regions"] == ["carpal", "radius-ulna"]
    assert (run.path / "readings/fusion/hand/readings.npz").is_file()
    assert not run.begin_anew("boxes")
    with pytest.raises(InputError, match="not trained yet"):
        run.require(*plan.trained_stages(CONFIG))
    assert adopt(run) == []
