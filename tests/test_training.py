"""The bridge to the prediction world: exported networks say what their PyTorch originals say."""

from pathlib import Path
from typing import Any, TypeVar

import lightgbm
import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from boneage_roi.configs.schema import RegionConfig, TreesConfig
from boneage_roi.errors import InputError
from boneage_roi.fusion.boosting import export_trees, tree_settings
from boneage_roi.fusion.features import HandReadings
from boneage_roi.fusion.layer import export_layer
from boneage_roi.fusion.model import Committee, FeatureConnectedLayer
from boneage_roi.learning.onnx_export import export_onnx, halve_weights, load_onnx
from boneage_roi.onnx_session import open_session
from boneage_roi.regional_models.networks import RegionNetwork, build_network
from boneage_roi.regional_models.train import export_region
from boneage_roi.regions import REGIONS
from boneage_roi.segmentation.model import HandUNet
from boneage_roi.values import MONTHLY

Arrays = dict[str, np.ndarray]


Network = TypeVar("Network", bound=torch.nn.Module)


def lively(network: Network) -> Network:
    """Give batch norms statistics as after training, so that folding them at export is put to the test."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            assert module.running_var is not None
            assert module.running_mean is not None
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
            torch.nn.init.normal_(module.running_mean, std=0.1)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, std=0.1)
    return network.eval()


def untrained(**settings: Any) -> RegionNetwork:
    return build_network(RegionConfig(size=(64, 64), weights="none", **settings))


def difference(network: torch.nn.Module, path: Path, inputs: Arrays) -> list[float]:
    """The largest difference of every output, as a share of the output's largest value."""
    with torch.no_grad():
        expected = network(*(torch.from_numpy(array) for array in inputs.values()))
    expected = expected if isinstance(expected, tuple) else (expected,)
    found = open_session(path).run(None, inputs)
    return [
        float(np.abs(one - other.numpy()).max() / other.abs().max()) for one, other in zip(found, expected, strict=True)
    ]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_halved_weights_halve_the_file_and_keep_the_outputs(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 8)).eval()
    images, whole = torch.randn(5, 64), tmp_path / "whole.onnx"
    torch.onnx.export(network, (images,), str(whole), input_names=["image"], opset_version=17, dynamo=False)
    half = halve_weights(onnx.load(str(whole))).SerializeToString()
    assert len(half) < 0.55 * whole.stat().st_size
    outputs = [
        onnxruntime.InferenceSession(model).run(None, {"image": images.numpy()})[0]
        for model in (whole.read_bytes(), half)
    ]
    np.testing.assert_allclose(outputs[0], outputs[1], atol=1e-2)
    assert outputs[1].dtype == np.float32


def test_region_network_survives_export(tmp_path: Path) -> None:
    network, path = lively(untrained(sex_loss_weight=1.0)), tmp_path / "epiphysis.onnx"
    export_region(network, "epiphysis", RegionConfig(size=(48, 48)), path)
    random = np.random.default_rng(0)
    for hands, crops in ((1, 1), (2, 7), (1, 16)):
        inputs = {
            "crops": random.random((hands, crops, 1, 48, 48), np.float32),
            "present": (np.arange(crops) < 5)[None].repeat(hands, 0).astype(np.float32),
            "places": random.random((hands, crops, 4), np.float32),
            "sex": np.ones(hands, np.float32),
        }
        assert max(difference(network, path, inputs)) < 0.01


def test_an_exported_network_can_be_gone_on_from(tmp_path: Path) -> None:
    network, path = lively(untrained()), tmp_path / "carpal.onnx"
    export_region(network, "carpal", RegionConfig(size=(64, 64)), path)
    other = untrained()
    load_onnx(other, path)
    for name, value in network.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            torch.testing.assert_close(other.state_dict()[name], value, rtol=1e-3, atol=1e-4)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    network, path = lively(untrained()), tmp_path / "carpal.onnx"
    export_region(network, "carpal", RegionConfig(size=(64, 64)), path)
    with pytest.raises(InputError, match="not the weights of the network"):
        load_onnx(untrained(stages=4), path)


def test_hand_unet_survives_export(tmp_path: Path) -> None:
    network, path = lively(HandUNet(pretrained=False)), tmp_path / "segmenter.onnx"
    export_onnx(network, (torch.zeros(1, 1, 64, 64),), path, input_names=["image"], output_names=["maps"])
    image = np.random.default_rng(0).random((1, 1, 64, 64), np.float32)
    maps = open_session(path).run(None, {"image": image})[0][0]
    np.testing.assert_allclose(maps[1:].sum((1, 2)), 1, rtol=1e-3)
    with torch.no_grad():
        expected = network(torch.from_numpy(image))[0].numpy()
    np.testing.assert_allclose(maps[0], expected[0], atol=0.02)
    np.testing.assert_allclose(maps[1:], expected[1:], atol=0.05 * expected[1:].max())


def test_fusion_layer_survives_export(tmp_path: Path) -> None:
    torch.manual_seed(0)
    members = [FeatureConnectedLayer(6, 64), FeatureConnectedLayer(6, 64)]
    for parameter in (parameter for member in members for parameter in member.parameters()):
        torch.nn.init.normal_(parameter, std=0.1)
    random = np.random.default_rng(0)
    hands = HandReadings(
        regions=tuple(REGIONS),
        grid=MONTHLY,
        features=random.random((3, 6, 64), np.float32),
        distributions=random.dirichlet(np.ones(MONTHLY.bins), (3, 6)).astype(np.float32),
        present=np.array([[1] * 6, [1, 0, 0, 0, 0, 0], [1, 1, 1, 0, 1, 1]], np.float32),
        sex=np.array([0, 1, 1], np.float32),
        crops=np.ones((3, 6), np.float32),
        confidences=np.ones((3, 6), np.float32),
    )
    committee, path = Committee(members).eval(), tmp_path / "rb_fcl.onnx"
    export_layer(committee, hands, path)
    for rows in ([0], [0, 1, 2]):
        assert max(difference(committee, path, hands[np.array(rows)].network_inputs)) < 0.01


@pytest.mark.parametrize("hands", [400, 12])  # twelve hands are too few for LightGBM to split a leaf
def test_trees_survive_export(tmp_path: Path, hands: int) -> None:
    random = np.random.default_rng(0)
    inputs = random.normal(100, 30, (hands, 10)).astype(np.float32)
    inputs[::3, 2] = -1
    residual = 0.1 * inputs[:, 0] - 0.2 * np.maximum(inputs[:, 1], 90) + 5 * (inputs[:, 2] < 0)
    trees = lightgbm.train(tree_settings(TreesConfig(), 0), lightgbm.Dataset(inputs, residual), 50)
    export_trees(trees, inputs.shape[1], tmp_path / "fusion.onnx")
    found = open_session(tmp_path / "fusion.onnx").run(None, {"features": inputs})[0].reshape(-1)
    np.testing.assert_allclose(found, trees.predict(inputs), atol=1e-3)
    assert (np.ptp(found) > 1) == (hands > 100)
