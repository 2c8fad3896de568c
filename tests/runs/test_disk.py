"""What a run takes on disk, and taking away what can be made again."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import boneage_roi.cli.root  # noqa: F401  registers the commands
from boneage_roi.cli.common import app
from boneage_roi.errors import InputError
from boneage_roi.runs import layout
from boneage_roi.runs.artefacts import FrameCache
from boneage_roi.runs.disk import clean, sizes, spares
from boneage_roi.runs.fingerprints import Fingerprints
from boneage_roi.runs.run import Run
from tests.training.demo_run import WHOLE_HAND, config


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run with two hands, a finished segmenter and hand frames, and a network of the hand that is being trained."""
    run = Run(tmp_path / "run")
    run.path.mkdir()
    run.write_config(config(WHOLE_HAND))
    images = [tmp_path / f"{name}.png" for name in "ab"]
    for image in images:
        image.write_bytes(b"image")
    hands = {"id": ["a", "b"], "path": [str(path) for path in images], "sex": "F", "boneage": 100.0}
    table = pd.DataFrame({**hands, "width": 10, "height": 10, "split": "train"})
    table.to_csv(run.path / layout.MANIFEST, index=False)
    run.begin(layout.SEGMENTER)
    run.network(layout.SEGMENTER).write_bytes(b"network")
    (run.stage(layout.SEGMENTER) / "round1.ckpt").write_bytes(bytes(50_000))
    run.finish(layout.SEGMENTER, {"dice": 0.9}, outputs=["segmenter.onnx"])
    run.begin_anew(layout.FRAMES)
    for name in layout.FRAME_FILES[:-1]:
        np.save(run.stage(layout.FRAMES) / name, np.ones((2, 64, 52), np.uint8))
    rows = [{"id": key, "width": 10, "height": 10, **{f"m{i}": 0.0 for i in range(6)}} for key in "ab"]
    pd.DataFrame(rows).assign(inverted=False, confidence=1.0).to_csv(run.stage(layout.FRAMES) / "frames.csv")
    run.finish(layout.FRAMES, {"images": 2}, outputs=["frames.csv"])
    stage = layout.region_stage("hand")
    run.begin(stage)
    (run.stage(stage) / "round1.ckpt").write_bytes(bytes(50_000))
    return run


def names(run: Run) -> list[str]:
    return [str(each.path.relative_to(run.path)) for each in spares(run)]


def test_what_can_be_made_again_goes_and_the_stages_stay_finished(run: Run) -> None:
    assert names(run) == ["segmenter/round1.ckpt", "frames/frames.npy", "frames/bad-exports.npy"]
    assert clean(run) > 50_000
    assert names(run) == []
    assert (run.path / "regions/hand/round1.ckpt").is_file()  # of a stage that is not finished
    for stage in (layout.SEGMENTER, layout.FRAMES, layout.region_stage("hand")):
        assert Fingerprints(run).why_stale(stage) is None
    assert run.network(layout.SEGMENTER).is_file()
    with pytest.raises(InputError, match=r"frames\.npy: is gone, .* makes it again"):
        FrameCache(run)


@pytest.mark.parametrize("gone", ["image", "segmenter"])
def test_frames_that_could_not_be_cut_again_stay(run: Run, gone: str) -> None:
    path = Path(run.manifest["path"][0]) if gone == "image" else run.network(layout.SEGMENTER)
    path.unlink()
    assert names(run) == ["segmenter/round1.ckpt"]


def test_sizes_tell_every_stage_and_what_of_it_can_go(run: Run) -> None:
    found = {each.name: each for each in sizes(run)}
    assert {"segmenter", "frames", "regions/hand", "config.yaml", "manifest.csv"} <= found.keys()
    assert (found["frames"].state, found["regions/hand"].state) == ("finished", "begun")
    assert 0 < found["frames"].spare < found["frames"].bytes
    assert found["regions/hand"].spare == 0


def test_the_commands(run: Run) -> None:
    ran = CliRunner().invoke(app, ["info", str(run.path)])
    assert ran.exit_code == 0, ran.output
    assert "frames" in ran.output
    before = names(run)
    ran = CliRunner().invoke(app, ["clean", str(run.path), "--dry-run"])
    assert ran.exit_code == 0, ran.output
    assert "could be taken away" in ran.output
    ran = CliRunner().invoke(app, ["clean", str(run.path)])
    assert isinstance(ran.exception, InputError)
    assert "give --yes" in str(ran.exception)
    assert names(run) == before
    ran = CliRunner().invoke(app, ["clean", str(run.path), "--yes"])
    assert "taken away" in ran.output
    assert names(run) == []
    assert "nothing that can be made again" in CliRunner().invoke(app, ["clean", str(run.path), "--yes"]).output
