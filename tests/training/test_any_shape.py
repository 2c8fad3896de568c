"""From a data set to a bundle that predicts, for systems of other shapes than the shipped one."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import onnx
import pandas as pd
import pytest
import torch
import yaml
from torch import Tensor

import boneage_roi as br
from boneage_roi import regions
from boneage_roi.cli import main
from boneage_roi.configs import finders
from boneage_roi.configs.finders import FinderKind
from boneage_roi.errors import InputError
from boneage_roi.onnx_session import Execution
from boneage_roi.pipeline.bundle import Bundle
from boneage_roi.progress import Progress
from boneage_roi.regional_models import networks
from boneage_roi.regional_models.networks.contract import Outputs, RegionNetwork
from boneage_roi.runs.run import Run
from boneage_roi.training.prepare import prepare
from boneage_roi.training.stages import train_everything
from boneage_roi.training.train import refusal_note
from boneage_roi.values import HandFrame, RegionBox
from tests.bundles import EXAMPLES, needs_bundle
from tests.training.demo_run import WHOLE_HAND, config, small_demo

pytestmark = needs_bundle


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_demo(tmp_path_factory.mktemp("demo") / "data")


@pytest.fixture(scope="module")
def one_region(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One network on the whole hand, from prepare to export."""
    run = Run(tmp_path_factory.mktemp("one") / "run")
    prepare(dataset, run, config(WHOLE_HAND))
    train_everything(run)
    return run


def test_a_bundle_of_one_region_needs_no_detector(one_region: Run) -> None:
    bundle = Bundle.load(one_region.bundle)
    assert bundle.manifest.regions == ("hand",)
    assert bundle.manifest.finder.kind == "whole-hand"
    assert bundle.manifest.fusion.kind == "mean"
    assert not (one_region.path / "detector").exists()
    assert not (one_region.bundle / "detector.onnx").exists()
    assert (one_region.bundle / "bones.json").read_text() == "{}\n"
    assert bundle.manifest.metrics["refused"]["hands"] == 10
    assert "`mean`" in (one_region.bundle / "MODEL_CARD.md").read_text(encoding="utf-8")


def test_it_predicts(one_region: Run) -> None:
    age = br.load(one_region.bundle).predict(EXAMPLES / "girl-10y.png", sex="F")
    assert list(age.regions) == ["hand"]
    assert age.lower <= age.months <= age.upper
    assert age.months == pytest.approx(age.regions["hand"].expected_age, abs=0.01)


def test_it_keeps_its_learning_curves(one_region: Run) -> None:
    curves = pd.read_csv(one_region.path / "regions/hand/curves.csv")
    assert list(curves["round"]) == ["round1"]
    assert curves["mae"].notna().all()


def trained(run: Run, earlier: Run, dataset: Path, **changes: object) -> Bundle:
    """Another training on the same data."""
    prepare(dataset, run, config(WHOLE_HAND, **changes))
    return Bundle.load(train_everything(run))


def test_a_timm_backbone_on_another_age_grid(dataset: Path, one_region: Run, tmp_path: Path) -> None:
    hand = {"size": [32, 32], "margin": 0.0, "backbone": "timm/resnet10t", "weights": "none", "batch": 8}
    bundle = trained(
        Run(tmp_path / "run"),
        one_region,
        dataset,
        regions={"hand": hand | {"loss": "cross-entropy"}},
        age_grid={"bins": 77, "width": 3.0},
        steps=["clahe"],
        fusion={"kind": "ridge", "folds": 2},
    )
    assert bundle.manifest.age_grid == br.load(bundle).bundle.manifest.age_grid
    assert bundle.manifest.networks[0].kind == "region-net timm/resnet10t"
    assert bundle.manifest.steps == ("clahe",)
    reading = br.load(bundle).predict(EXAMPLES / "boy-4y.png", sex="M").regions["hand"]
    assert reading.distribution.shape == (77,)


class Toy(RegionNetwork):
    """The brightness of the crops, and nothing else."""

    features_length = 3

    def __init__(self, bins: int) -> None:
        super().__init__()
        self.features = torch.nn.Linear(2, 3)
        self.age = torch.nn.Linear(3, bins)

    def heads(self, crops: Tensor, sex: Tensor) -> tuple[Tensor, Tensor]:
        seen = torch.stack([crops.mean((1, 2, 3, 4)), sex], dim=1)
        features = self.features(seen)
        return self.age(features), features

    def outputs(self, crops: Tensor, present: Tensor, places: Tensor, sex: Tensor) -> Outputs:
        return Outputs(self.heads(crops, sex)[0] + 0 * present.sum() + 0 * places.sum())

    def forward(self, crops: Tensor, present: Tensor, places: Tensor, sex: Tensor) -> tuple[Tensor, Tensor]:
        logits, features = self.heads(crops, sex)
        return (logits + 0 * present.sum(1, keepdim=True) + 0 * places.sum((1, 2))[:, None]).softmax(-1), features


def test_a_new_region_and_a_new_network_are_an_entry_each(
    dataset: Path, one_region: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(regions.REGIONS, "toy-hand", regions.Region("toy-hand"))
    monkeypatch.setitem(networks.NETWORKS, "toy", lambda settings, grid: Toy(grid.bins))
    toy = {"size": [16, 16], "network": "toy", "batch": 8}
    bundle = trained(Run(tmp_path / "run"), one_region, dataset, regions={"toy-hand": toy})
    assert bundle.manifest.networks[0].features == 3
    age = br.load(bundle).predict(EXAMPLES / "girl-4y.png", sex="F")
    assert list(age.regions) == ["toy-hand"]


class MiddleFinder:
    """Every region lies in the middle of the frame."""

    def __init__(self, network: Path | None, regions: Sequence[str], execution: Execution) -> None:
        assert network is not None
        assert network.name == "detector.onnx"
        self.regions = tuple(regions)

    def __call__(self, frame: HandFrame) -> list[RegionBox]:
        height, width = frame.pixels.shape
        box = (width / 4, height / 4, width * 3 / 4, height * 3 / 4)
        return [RegionBox(region, box, confidence=1.0) for region in self.regions]


def train_middle_finder(run: Run, progress: Progress | None) -> dict[str, Any]:
    """Writes a network that gives back what it is given."""
    if (metrics := run.begin("detector")) is not None:
        return metrics
    kind = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Add", ["x", "x"], ["y"])], "toy", [kind("x", 1, [1])], [kind("y", 1, [1])]
    )
    onnx.save(onnx.helper.make_model(graph), run.network("detector"))
    run.finish("detector", {"regions": ["carpal"]}, outputs=["detector.onnx"])
    return {"regions": ["carpal"]}


def test_a_new_finder_that_learns_is_an_entry(
    dataset: Path, one_region: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = FinderKind(f"{__name__}:MiddleFinder", f"{__name__}:train_middle_finder")
    monkeypatch.setitem(finders.FINDERS, "middle", kind)
    carpal = {"size": [16, 16], "weights": "none", "batch": 8}
    run = Run(tmp_path / "run")
    bundle = trained(run, one_region, dataset, finder="middle", regions={"carpal": carpal})
    assert run.metrics("detector") == {"regions": ["carpal"]}
    assert "found by `middle`" in (run.bundle / "MODEL_CARD.md").read_text(encoding="utf-8")
    (box,) = br.load(bundle).analyse(EXAMPLES / "girl-4y.png").boxes
    assert (box.region, box.confidence) == ("carpal", 1.0)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"network": "nonesuch"}, ["'nonesuch'", "region-net"]),
        ({"loss": "nonesuch"}, ["'nonesuch'", "cross-entropy"]),
        ({"backbone": "nonesuch"}, ["'nonesuch'", "efficientnet-lite0", "timm/NAME"]),
        ({"backbone": "timm/resnet999"}, ["'resnet999'"]),
        ({"options": {"depth": 3}}, ["'depth'"]),
        ({"weights": "nowhere.pth"}, ["nowhere.pth", "no such file"]),
    ],
)
def test_unknown_names_list_the_known(settings: dict[str, Any], words: list[str]) -> None:
    hand = config(WHOLE_HAND).regions["hand"].model_copy(update=settings)
    with pytest.raises(InputError) as error:
        networks.build_network(hand)
    assert all(word in str(error.value) for word in words)
    assert "\n" not in str(error.value)


Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs ``boneage-roi`` in this process: exit code, stdout, stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["boneage-roi", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out, told.err

    return run


def preset_file(path: Path, **changes: object) -> Path:
    path.write_text(yaml.safe_dump(config(WHOLE_HAND, **changes).model_dump(mode="json")))
    return path


def test_the_train_command_does_what_is_missing_and_evaluate_reads_its_bundle(
    dataset: Path, one_region: Run, tmp_path: Path, command: Command
) -> None:
    network = one_region.network("regions/hand")
    before = network.stat().st_mtime_ns
    preset = preset_file(tmp_path / "one.yaml")
    code, out, err = command("train", dataset, "--run", one_region.path, "--preset", preset)
    assert (code, out.strip()) == (0, f"bundle is in {one_region.bundle}"), err
    assert network.stat().st_mtime_ns == before
    table = one_region.path / "manifest.csv"
    report = tmp_path / "report"
    code, out, err = command(
        "evaluate", table, "--split", "test", "--bundle", one_region.bundle, "--no-tta", "--output", report
    )
    assert code == 0, err
    assert any(report.iterdir())


def test_a_changed_setting_is_refused_until_it_is_trained_anew(
    dataset: Path, one_region: Run, tmp_path: Path, command: Command
) -> None:
    run = Run(Path(shutil.copytree(one_region.path, tmp_path / "run")))
    preset = preset_file(tmp_path / "ridge.yaml", fusion={"kind": "ridge", "folds": 2, "epochs": 1})
    code, _, err = command("train", dataset, "--run", run.path, "--preset", preset)
    assert code == 2
    assert err.count("\n") == 1 or "error:" in err.splitlines()[-1]
    assert 'fusion.kind is "ridge" and was "mean"' in err
    assert f"boneage-roi train-fusion --run {run.path} --retrain" in err
    code, _, err = command("export", run.path)
    assert code == 2
    assert "fusion.kind" in err
    assert Bundle.load(run.bundle).manifest.fusion.kind == "mean"
    kept = run.network("regions/hand").stat().st_mtime_ns
    code, _, err = command("train", dataset, "--run", run.path, "--preset", preset, "--retrain")
    assert code == 0, err
    assert Bundle.load(run.bundle).manifest.fusion.kind == "ridge"
    assert run.network("regions/hand").stat().st_mtime_ns == kept


def test_a_missing_stage_is_told_before_torch_is_imported(dataset: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    prepare(dataset, run, config(WHOLE_HAND))
    code = (
        "import sys\nfrom boneage_roi.cli import main\n"
        f"sys.argv = ['boneage-roi', 'train-fusion', '--run', {str(run.path)!r}]\n"
        "try:\n    main()\nfinally:\n    assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert "the network of hand is not trained yet; run `boneage-roi train-region hand" in done.stderr
    assert "Traceback" not in done.stderr


def test_too_few_hands_are_told_by_prepare_with_the_number_that_suffices(
    dataset: Path, tmp_path: Path, command: Command
) -> None:
    table = pd.read_csv(dataset)
    few = pd.concat([table[table.split == "train"], table[table.split == "fusion"].head(4)])
    few["path"] = [str(dataset.parent / path) for path in few["path"]]
    few.to_csv(tmp_path / "few.csv", index=False)
    preset = preset_file(tmp_path / "one.yaml")
    code, out, err = command("prepare", tmp_path / "few.csv", "--run", tmp_path / "run", "--preset", preset)
    assert code == 0
    assert "14 images" in out
    assert "4 hands in the split `fusion`, and 10 are needed" in err
    assert "give 6 more hands this split" in err
    assert "no hands in the split `test`" in err
    code, _, err = command("train", tmp_path / "few.csv", "--run", tmp_path / "run", "--preset", preset)
    assert code == 2
    assert "and 10 are needed" in err
    assert not (tmp_path / "run/segmenter").exists()


def test_data_without_annotations_are_told_what_the_segmenter_needs(
    dataset: Path, tmp_path: Path, command: Command
) -> None:
    table = pd.read_csv(dataset)
    table["path"] = [str(dataset.parent / path) for path in table["path"]]
    table.to_csv(tmp_path / "plain.csv", index=False)
    _, _, err = command("prepare", tmp_path / "plain.csv", "--run", tmp_path / "run", "--preset", "default")
    assert "no hand outlines of hands in `train`" in err
    assert "no koitka2018 joint boxes" in err
    assert "preset `finetune`, which needs none" in err


def test_a_bundle_that_refuses_most_hands_says_so() -> None:
    refused = {"hands": 20, "share": 0.9, "reason": "no child's hand recognised"}
    note = refusal_note({"refused": refused})
    assert note is not None
    assert "refuses 90% of 20 of its own test hands" in note
    assert refusal_note({"refused": refused | {"share": 0.1}}) is None
    assert refusal_note({"refused": {}}) is None


def test_a_demo_is_not_written_over_something(dataset: Path, tmp_path: Path, command: Command) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    code, _, err = command("demo", tmp_path, "--examples", EXAMPLES)
    assert code == 2
    assert "is not an empty folder" in err
    code, _, err = command("demo", tmp_path / "new", "--examples", tmp_path)
    assert code == 2
    assert "no manifest.csv of example hands" in err


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"fusion": {"kind": "median"}}, ["'median'", "rb-fcl+trees"]),
        ({"steps": ["polish"]}, ["'polish'", "clahe"]),
        ({"finder": "eyes"}, ["'eyes'", "detector", "whole-hand"]),
        ({"finder": "whole-hand", "regions": {"carpal": {"size": [32, 32]}}}, ["finds no carpal"]),
        ({"regions": {"elbow": {"size": [32, 32]}}}, ["'elbow'", "carpal"]),
    ],
)
def test_what_a_preset_names_is_checked_by_prepare(
    dataset: Path, tmp_path: Path, command: Command, changes: dict[str, Any], words: list[str]
) -> None:
    preset = tmp_path / "wrong.yaml"
    preset.write_text(yaml.safe_dump({**WHOLE_HAND, **changes}))
    code, _, err = command("prepare", dataset, "--run", tmp_path / "run", "--preset", preset)
    assert code == 2
    assert all(word in err for word in words), err
    assert not (tmp_path / "run").exists()


def test_a_stage_that_the_run_lacks_is_one_line(one_region: Run, command: Command) -> None:
    code, _, err = command("train-detector", "--run", one_region.path)
    assert (code, "whole-hand, which needs no training" in err) == (2, True)
    code, _, err = command("train-region", "carpal", "--run", one_region.path)
    assert (code, "reads no carpal; its regions are hand" in err) == (2, True)
