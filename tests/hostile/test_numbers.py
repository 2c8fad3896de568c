"""What is not a finite number is a refusal with a reason, in whichever network it arises."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from boneage_roi.outputs.files import OutputFiles
from boneage_roi.outputs.records import result_row
from boneage_roi.outputs.results import result_sink
from boneage_roi.outputs.sink import opened
from boneage_roi.pipeline.batch import predict_files
from boneage_roi.pipeline.bundle import DEFAULT_BUNDLE
from boneage_roi.pipeline.inputs import list_inputs
from boneage_roi.pipeline.item import filler
from boneage_roi.pipeline.reader import BoneAgeReader
from boneage_roi.values import Analysis, BoneAge
from tests.bundles import EXAMPLES, copy_with_fusion, needs_bundle
from tests.pipeline.test_batch import REGIONS, ToyPredictor, folder  # noqa: F401  a fixture

NETWORKS = ("segmenter", "aspect", "detector", "regions/hand", "regions/epiphysis")
FUSION_NETWORKS = ("rb_fcl", "fusion")


def spoil(bundle: Path, network: str, number: float) -> None:
    """Make a network's outputs ``number``, and let the manifest vouch for that."""
    onnx = pytest.importorskip("onnx")
    path = bundle / f"{network}.onnx"
    model = onnx.load(path)
    for output in model.graph.output:
        kind = output.type.tensor_type.elem_type
        dtype = onnx.helper.tensor_dtype_to_np_dtype(kind)
        if dtype.kind != "f":
            continue
        whole = f"{output.name}_as_it_was"
        for node in model.graph.node:
            node.output[:] = [whole if name == output.name else name for name in node.output]
            node.input[:] = [whole if name == output.name else name for name in node.input]
        value = onnx.numpy_helper.from_array(np.array(number, dtype), f"{output.name}_spoiled")
        model.graph.initializer.append(value)
        model.graph.node.append(onnx.helper.make_node("Mul", [whole, value.name], [output.name]))
    onnx.save(model, path)
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["files"][f"{network}.onnx"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (bundle / "manifest.json").write_text(json.dumps(manifest))


@pytest.fixture(scope="module")
def layered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle whose fusion is networks too."""
    pytest.importorskip("torch")
    return copy_with_fusion(tmp_path_factory.mktemp("layered") / "bundle", "rb-fcl+trees")


@needs_bundle
@pytest.mark.parametrize("network", NETWORKS)
def test_18_2_a_network_that_gives_no_number_gives_no_age(tmp_path: Path, network: str) -> None:
    assert_no_age(DEFAULT_BUNDLE, tmp_path / "bundle", network, np.nan)


@needs_bundle
@pytest.mark.parametrize("number", [np.nan, np.inf])
@pytest.mark.parametrize("network", FUSION_NETWORKS)
def test_18_2_a_fusion_that_gives_no_number_gives_no_age(
    layered: Path, tmp_path: Path, network: str, number: float
) -> None:
    assert_no_age(layered, tmp_path / "bundle", network, number)


def assert_no_age(whole: Path, bundle: Path, network: str, number: float) -> None:
    """A copy of a bundle one of whose networks gives no numbers reads nothing."""
    shutil.copytree(whole, bundle)
    spoil(bundle, network, number)
    items = filler(sex="F")(list_inputs(EXAMPLES / "girl-10y.png"))
    (outcome,) = predict_files(BoneAgeReader(bundle, tta=False), items)
    assert outcome.status != "ok"
    assert outcome.bone_age is None
    assert "Error" not in outcome.message
    assert outcome.message


class NoNumbers(ToyPredictor):
    """A reader that lets a number through that is none."""

    def read(self, analysis: Analysis) -> BoneAge:
        age = super().read(analysis)
        return BoneAge(float("nan"), float("-inf"), float("inf"), "F", age.readings, "toy")


def test_18_2_no_sink_writes_what_is_no_number(folder: Path) -> None:  # noqa: F811
    items = list_inputs(folder / "a.png")
    (outcome,) = predict_files(cast(BoneAgeReader, NoNumbers()), items)
    assert outcome.status == "error"
    assert "not finite" in outcome.message
    assert result_row(outcome, REGIONS)["bone_age_months"] == ""
    paths = [folder / name for name in ("ages.csv", "ages.json", "ages.jsonl")]
    with opened([result_sink(path, REGIONS, OutputFiles("predict")) for path in paths]) as write:
        write(outcome)
    for path in paths:
        assert "nan" not in path.read_text().lower()

    def refuse(constant: str) -> Any:
        raise AssertionError(f"{constant} is no JSON")

    assert json.loads(paths[1].read_text(), parse_constant=refuse)[0]["status"] == "error"
