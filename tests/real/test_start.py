"""A training that goes on from a bundle."""

from pathlib import Path

import pytest
import torch

from boneage_roi.configs.schema import RoundConfig, SegmenterConfig
from boneage_roi.errors import InputError
from boneage_roi.files import write_atomically
from boneage_roi.learning.onnx_export import load_onnx
from boneage_roi.regional_models.networks import build_network
from boneage_roi.runs.run import Run
from boneage_roi.training.stages import detector_stage, region_stage, segmenter_stage


@pytest.fixture
def started_run(tiny_run: Run, tmp_path: Path) -> Run:
    """A prepared run without annotations that goes on from the tiny run's bundle, in steps too small to forget it."""
    run, config = Run(tmp_path / "started"), tiny_run.config
    settings = config.regions["hand"]
    gentle = settings.model_copy(update={"rounds": (RoundConfig(epochs=1, learning_rate=1e-6),)})
    run.write_config(config.model_copy(update={"start": str(tiny_run.bundle), "regions": {"hand": gentle}}))
    write_atomically(run.path / "manifest.csv", (tiny_run.path / "manifest.csv").read_bytes())
    return run


def test_segmenter_and_detector_are_taken_over(tiny_run: Run, started_run: Run) -> None:
    assert segmenter_stage(started_run) == tiny_run.metrics("segmenter")
    assert detector_stage(started_run) == tiny_run.metrics("detector")
    for stage in ("segmenter", "detector"):
        name = f"{stage}.onnx"
        assert (started_run.path / stage / name).read_bytes() == (tiny_run.bundle / name).read_bytes()


def test_a_region_network_goes_on_from_the_bundles(tiny_run: Run, started_run: Run) -> None:
    segmenter_stage(started_run)
    region_stage(started_run, "hand")
    networks = []
    for path in (tiny_run.bundle / "regions/hand.onnx", started_run.path / "regions/hand/hand.onnx"):
        network = build_network(started_run.config.regions["hand"])
        load_onnx(network, path)
        networks.append(dict(network.named_parameters()))
    before, after = networks
    assert any(not torch.equal(after[name], weight) for name, weight in before.items())
    for name, weight in before.items():
        torch.testing.assert_close(after[name], weight, rtol=0.01, atol=1e-3, msg=name)


@pytest.mark.parametrize("keep", [0.0, 1.0])
def test_a_round_can_keep_what_the_network_was(tiny_run: Run, started_run: Run, keep: float) -> None:
    config = started_run.config
    rounds = (RoundConfig(epochs=1, learning_rate=1e-3, keep=keep),)
    settings = config.regions["hand"].model_copy(update={"rounds": rounds})
    started_run.write_config(config.model_copy(update={"regions": {"hand": settings}}))
    segmenter_stage(started_run)
    region_stage(started_run, "hand")
    before, after = build_network(settings), build_network(settings)
    load_onnx(before, tiny_run.bundle / "regions/hand.onnx")
    load_onnx(after, started_run.path / "regions/hand/hand.onnx")
    unchanged = [torch.equal(value, after.state_dict()[name]) for name, value in before.state_dict().items()]
    assert all(unchanged) == (keep == 1)


def test_a_finished_stage_does_not_ask_for_the_bundle(tiny_run: Run, started_run: Run) -> None:
    segmenter_stage(started_run)
    away = tiny_run.bundle.rename(tiny_run.path / "away")
    try:
        assert segmenter_stage(started_run) == tiny_run.metrics("segmenter")
    finally:
        away.rename(tiny_run.bundle)


def test_a_bundle_of_other_sizes_is_refused(tiny_run: Run, started_run: Run) -> None:
    config = started_run.config
    started_run.write_config(config.model_copy(update={"segmenter": SegmenterConfig(size=96)}))
    with pytest.raises(InputError, match="set the same to start from it"):
        segmenter_stage(started_run)
