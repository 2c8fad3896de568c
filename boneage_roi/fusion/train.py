"""Training the fusion on the ``fusion`` split: feature-connected layer, boosted residual, conformal intervals.

The split is divided once more by the hands' order under a seed: most of it teaches (cross-fitted, so that the trees
learn from ages of hands that the layer had not seen), the rest calibrates the intervals and is seen by neither.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightgbm
import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType
from scipy.optimize import nnls
from sklearn.model_selection import KFold
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from boneage_roi.configs.schema import FusionConfig
from boneage_roi.datasets.cache import read_readings
from boneage_roi.fusion.features import HandReadings, disagreement, moments, stack_readings, tree_features
from boneage_roi.fusion.intervals import Intervals
from boneage_roi.fusion.model import Committee, FeatureConnectedLayer
from boneage_roi.regional_models.train import label_distribution
from boneage_roi.regions import AGE_BINS, Region
from boneage_roi.runs import Run, write_atomically
from boneage_roi.training import export_onnx, fit, one_cycle

LABEL_SIGMA = 8.0
REGION_DROPOUT = 0.1
MOST_ROUNDS = 400

Floats = NDArray[np.float32]


def train_fusion(run: Run) -> dict[str, Any]:
    """Train, measure and export the fusion into ``run/fusion``; does nothing when that is done.

    Needs the readings of the ``fusion`` hands.

    Returns:
        Mean absolute errors in months of cross-fitted predictions, coverage and width on the calibration hands.
    """
    if (metrics := run.metrics("fusion")) is not None:
        return metrics
    config, folder = run.config.fusion, run.stage("fusion")
    hands, ages = load_hands(run)
    order = np.random.default_rng(run.config.seed).permutation(len(hands))
    count = round(config.calibration * len(hands))
    calibration, teaching = order[:count], order[count:]

    fitted = _cross_fit(hands[teaching], ages[teaching], config, run, folder)
    path = _boosting_path(fitted, config, run)
    best = int(np.abs(fitted.ages - fitted.layer_ages - path).mean(axis=1).argmin())
    rounds, boosted = 10 * (best + 1), fitted.layer_ages + path[best]
    trees = lightgbm.train(_tree_settings(run), _tree_data(fitted, slice(None)), rounds)
    export_layer(fitted.committee, hands, folder / "rb_fcl.onnx")
    export_trees(trees, fitted.inputs.shape[1], folder / "fusion.onnx")

    layer = fitted.predict(hands[calibration])
    fused = moments(layer)[0] + trees.predict(tree_features(hands[calibration], layer))
    errors = np.abs(fused - ages[calibration])
    weights = _error_weights(fitted, np.abs(boosted - fitted.ages))
    intervals = calibrate(weights, hands[calibration], layer, errors, config.coverage)
    write_atomically(folder / "intervals.json", intervals.to_json())
    metrics = {
        "split": "fusion",
        "teaching_hands": len(teaching),
        "regions_mae": _region_errors(hands, ages),
        "cross_fitted_layer_mae": _rounded(np.abs(fitted.layer_ages - fitted.ages).mean()),
        "cross_fitted_mae": _rounded(np.abs(boosted - fitted.ages).mean()),
        "trees": rounds,
        "calibration_hands": count,
        "calibration_mae": _rounded(errors.mean()),
        "mean_half_width": _rounded(intervals.half_width(hands[calibration], layer).mean()),
    }
    run.finish("fusion", metrics)
    return metrics


def load_hands(run: Run) -> tuple[HandReadings, Floats]:
    """Readings and labels of every ``fusion`` hand, in the manifest's order."""
    readings, manifest = read_readings(run), run.manifest
    hands = manifest[(manifest.split == "fusion") & manifest.id.isin(readings.keys())]
    stacked = stack_readings([(readings[key], sex) for key, sex in zip(hands.id, hands.sex, strict=True)])
    return stacked, hands.boneage.to_numpy(np.float32)


@dataclass(frozen=True, eq=False)
class _CrossFitted:
    """The committee and what its members say of the hands that each had not seen."""

    committee: Committee
    hands: HandReadings
    ages: Floats
    distributions: Floats
    inputs: Floats

    @property
    def layer_ages(self) -> Floats:
        return moments(self.distributions)[0]

    def predict(self, hands: HandReadings) -> Floats:
        return _run(self.committee, hands)


def _cross_fit(hands: HandReadings, ages: Floats, config: FusionConfig, run: Run, folder: Path) -> _CrossFitted:
    members, distributions = [], np.zeros((len(hands), AGE_BINS), np.float32)
    for fold, (teach, keep) in enumerate(_folds(config, run).split(ages)):
        lightning.seed_everything(run.config.seed + fold, verbose=False)
        module = _LitLayer(FeatureConnectedLayer(hands.features.shape[1], hands.features.shape[2]))
        tensors = [torch.from_numpy(array) for array in hands[teach].network_inputs.values()]
        batches = DataLoader(TensorDataset(*tensors, torch.from_numpy(ages[teach])), 64, shuffle=True)
        fit(module, batches, epochs=config.epochs, folder=folder, name=f"fold{fold}")
        members.append(module.network)
        distributions[keep] = _run(module.network, hands[keep])
    return _CrossFitted(Committee(members), hands, ages, distributions, tree_features(hands, distributions))


def _folds(config: FusionConfig, run: Run) -> KFold:
    return KFold(config.folds, shuffle=True, random_state=run.config.seed)


def _run(network: torch.nn.Module, hands: HandReadings) -> Floats:
    network.eval()
    with torch.no_grad():
        output: Tensor = network(*(torch.from_numpy(array) for array in hands.network_inputs.values()))
    return output.numpy()


class _LitLayer(lightning.LightningModule):
    """Label distribution and expected-age loss; now and then a region is withheld, so that absent ones do no harm."""

    months: Tensor

    def __init__(self, network: FeatureConnectedLayer) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("months", torch.arange(AGE_BINS, dtype=torch.float32), persistent=False)

    def training_step(self, batch: tuple[Tensor, ...], _: int) -> Tensor:
        features, distributions, present, sex, ages = batch
        withheld = present * (torch.rand_like(present) > REGION_DROPOUT)
        present = torch.where(withheld.sum(1, keepdim=True) > 0, withheld, present)
        logits = self.network.logits(features, distributions, present, sex)
        spread = functional.cross_entropy(logits, label_distribution(ages, LABEL_SIGMA))
        error = (logits.softmax(-1) @ self.months - ages).abs().mean()
        loss: Tensor = spread + 0.1 * error
        self.log("mae", error, prog_bar=True)
        return loss

    def configure_optimizers(self) -> Any:
        return one_cycle(self, 1e-3, weight_decay=0.1)


def _tree_settings(run: Run) -> dict[str, Any]:
    """Small, slow trees: they may only correct what the layer leaves."""
    return {
        "objective": "regression_l1",
        "learning_rate": 0.02,
        "num_leaves": 6,
        "min_data_in_leaf": 30,
        "feature_fraction": 0.5,
        "bagging_fraction": 0.7,
        "bagging_freq": 1,
        "lambda_l2": 10.0,
        "seed": run.config.seed,
        "deterministic": True,
        "num_threads": 2,
        "verbose": -1,
    }


def _tree_data(fitted: _CrossFitted, rows: Any) -> lightgbm.Dataset:
    residual = fitted.ages - fitted.layer_ages
    return lightgbm.Dataset(fitted.inputs[rows], residual[rows], free_raw_data=False)


def _boosting_path(fitted: _CrossFitted, config: FusionConfig, run: Run) -> NDArray[np.float64]:
    """Corrections (rounds, N) of hands outside the trees' own fold, after every tenth tree."""
    steps = range(10, MOST_ROUNDS + 1, 10)
    path = np.zeros((len(steps), len(fitted.ages)))
    for teach, keep in _folds(config, run).split(fitted.ages):
        trees = lightgbm.train(_tree_settings(run), _tree_data(fitted, teach), MOST_ROUNDS)
        path[:, keep] = [trees.predict(fitted.inputs[keep], num_iteration=step) for step in steps]
    return path


def _error_weights(fitted: _CrossFitted, errors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Non-negative weights of 1, spread and disagreement that predict the absolute error of unseen hands."""
    _, spread = moments(fitted.distributions)
    design = np.column_stack([np.ones(len(errors)), spread, disagreement(fitted.hands)])
    weights, _ = nnls(design.astype(np.float64), errors.astype(np.float64))
    return np.asarray(weights)


def calibrate(
    weights: NDArray[np.float64], hands: HandReadings, fused: Floats, errors: Floats, coverage: float
) -> Intervals:
    """The quantile that makes ``coverage`` of new hands fall inside, from hands that nothing was trained on."""
    plain = Intervals(coverage, 1.0, *(float(weight) for weight in weights))
    scores = errors / plain.scale(hands, fused)
    level = min(np.ceil((len(scores) + 1) * coverage) / len(scores), 1.0)
    return replace(plain, quantile=float(np.quantile(scores, level, method="higher")))


def _region_errors(hands: HandReadings, ages: Floats) -> dict[str, float]:
    """Mean absolute error of each region over the hands on which it was found."""
    errors, present = np.abs(moments(hands.distributions)[0] - ages[:, None]), hands.present > 0
    return {region.value: _rounded(errors[present[:, row], row].mean()) for row, region in enumerate(Region)}


def _rounded(value: Any) -> float:
    return round(float(value), 3)


def export_layer(committee: Committee, hands: HandReadings, path: Path) -> None:
    """Write the feature-connected layer; the number of hands stays free."""
    inputs = hands[np.arange(2)].network_inputs
    export_onnx(
        committee,
        tuple(torch.from_numpy(array) for array in inputs.values()),
        path,
        input_names=list(inputs),
        output_names=["distribution"],
        dynamic={name: {0: "hands"} for name in inputs},
    )


def export_trees(trees: lightgbm.Booster, width: int, path: Path) -> None:
    """Write LightGBM's trees as ONNX."""
    inputs = [("features", FloatTensorType([None, width]))]
    # Without a name of its own the graph gets a random one, and no two bundles of one run would be the same.
    model = convert_lightgbm(trees, name="fusion", initial_types=inputs, zipmap=False)
    write_atomically(path, model.SerializeToString())
