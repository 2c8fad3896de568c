"""Training the fusion on the ``fusion`` split: feature-connected layer, boosted residual, conformal intervals.

All is cross-fitted: the trees learn from the ages, and the intervals from the errors, of hands that the layer (and the
trees) had not seen.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm
import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType
from sklearn.model_selection import KFold
from torch import Tensor
from torch.nn import functional
from torch.utils.data import TensorDataset

from boneage_roi.files import write_atomically
from boneage_roi.fusion.calibration import fit_intervals
from boneage_roi.fusion.features import HandReadings, moments, stack_readings, tree_features
from boneage_roi.fusion.model import Committee, FeatureConnectedLayer
from boneage_roi.fusion.runtime import FUSION_FILES
from boneage_roi.learning.fitting import fit, one_cycle, shuffled
from boneage_roi.learning.losses import label_distribution
from boneage_roi.learning.onnx_export import export_onnx
from boneage_roi.metrics import AGE_BAND_EDGES
from boneage_roi.progress import Progress
from boneage_roi.runs import layout
from boneage_roi.runs.artefacts import read_readings
from boneage_roi.runs.run import Run
from boneage_roi.values import MONTHLY

LABEL_SIGMA = 8.0
REGION_DROPOUT = 0.1
BALANCE = 0.05
"""Weight of the bias term: more makes the bias smaller and the single error larger."""
COUNTERWEIGHT = 1.0
"""How often the trees are shown the layer's mean error of a hand's sex and age beside the error of the hand itself."""
FEW = 30
"""Of so many hands the mean error of a sex and age band counts for half."""
BIAS_MEMORY = 200
MOST_ROUNDS = 400

Floats = NDArray[np.float32]


def train_fusion(run: Run, progress: Progress | None = None) -> dict[str, Any]:
    """Train, measure and export the fusion into ``run/fusion``; does nothing when that is done.

    Needs the readings of the ``fusion`` hands.

    Returns:
        Mean absolute errors in months of cross-fitted predictions, and the mean half width of their intervals.
    """
    if (metrics := run.begin(layout.FUSION)) is not None:
        return metrics
    config, folder = run.config.fusion, run.stage(layout.FUSION)
    hands, ages = load_hands(run)
    fitted = cross_fit(hands, ages, run, progress)
    rounds, boosted = boost(fitted, run)
    trees = lightgbm.train(tree_settings(run.config.seed), _tree_data(fitted, slice(None)), rounds)
    export_layer(fitted.committee, hands, folder / "rb_fcl.onnx")
    export_trees(trees, fitted.inputs.shape[1], folder / "fusion.onnx")

    errors = np.abs(boosted - ages)
    intervals = fit_intervals(hands, fitted.distributions, errors, config.coverage, run.config.seed)
    write_atomically(folder / "intervals.json", intervals.to_json())
    metrics = {
        "split": "fusion",
        "hands": len(hands),
        "regions_mae": _region_errors(hands, ages),
        "cross_fitted_layer_mae": _rounded(np.abs(fitted.layer_ages - ages).mean()),
        "cross_fitted_mae": _rounded(errors.mean()),
        "trees": rounds,
        "mean_half_width": _rounded(intervals.half_width(hands, fitted.distributions).mean()),
    }
    run.finish(layout.FUSION, metrics, outputs=FUSION_FILES)
    return metrics


def load_hands(run: Run, split: str = "fusion", *, tta: bool = True) -> tuple[HandReadings, Floats]:
    """Readings and labels of every hand of a split, in the manifest's order."""
    readings, manifest = read_readings(run, split, tta=tta), run.manifest
    hands = manifest[(manifest.split == split) & manifest.id.isin(readings.keys())]
    stacked = stack_readings(
        [(readings[key], sex) for key, sex in zip(hands.id, hands.sex, strict=True)], tuple(run.config.regions)
    )
    return stacked, hands.boneage.to_numpy(np.float32)


@dataclass(frozen=True, eq=False)
class CrossFitted:
    """The committee and what its members say of the hands that each had not seen."""

    committee: Committee
    hands: HandReadings
    ages: Floats
    distributions: Floats
    inputs: Floats

    @property
    def layer_ages(self) -> Floats:
        return moments(self.distributions)[0]

    @property
    def corrections(self) -> Floats:
        """What the trees are to add to the layer's ages (N,), months.

        A loss on single hands draws the ages towards the middle, so they also get what the layer is off by on average
        in each sex and age band, the less the fewer hands it has.
        """
        missing = self.ages - self.layer_ages
        band = 2 * np.digitize(self.ages, AGE_BAND_EDGES[1:-1]) + (self.hands.sex > 0)
        total, count = np.bincount(band, missing), np.bincount(band)
        return np.asarray(missing + COUNTERWEIGHT * (total / (count + FEW))[band], np.float32)


def cross_fit(hands: HandReadings, ages: Floats, run: Run, progress: Progress | None = None) -> CrossFitted:
    """Train a layer a fold in ``run/fusion``; a finished one is loaded."""
    config, folder = run.config.fusion, run.stage(layout.FUSION)
    members, distributions = [], np.zeros((len(hands), MONTHLY.bins), np.float32)
    for fold, (teach, keep) in enumerate(folds(run).split(ages)):
        lightning.seed_everything(run.config.seed + fold, verbose=False)
        module = _LitLayer(FeatureConnectedLayer(hands.features.shape[1], hands.features.shape[2]))
        tensors = [torch.from_numpy(array) for array in hands[teach].network_inputs.values()]
        batches = shuffled(TensorDataset(*tensors, torch.from_numpy(ages[teach])), 64)
        fit(
            module,
            batches,
            epochs=config.epochs,
            folder=folder,
            name=f"fold{fold}",
            seed=run.config.seed + fold,
            title=f"fusion, fold {fold + 1} of {config.folds}",
            progress=progress,
        )
        members.append(module.network)
        distributions[keep] = run_layer(module.network, hands[keep])
    return CrossFitted(Committee(members), hands, ages, distributions, tree_features(hands, distributions))


def folds(run: Run) -> KFold:
    """How the ``fusion`` hands are divided for cross-fitting."""
    return KFold(run.config.fusion.folds, shuffle=True, random_state=run.config.seed)


def run_layer(network: torch.nn.Module, hands: HandReadings) -> Floats:
    """Distributions (N, 240) that a layer or a committee makes of hands."""
    network.eval()
    with torch.no_grad():
        output: Tensor = network(*(torch.from_numpy(array) for array in hands.network_inputs.values()))
    return output.numpy()


class _LitLayer(lightning.LightningModule):
    """Label distribution and expected-age loss, and the bias of each sex and age band pushed towards zero.

    A loss on single hands alone draws the ages towards the middle. Now and then a region is withheld, so that absent
    ones do no harm.
    """

    months: Tensor
    edges: Tensor
    bias: Tensor

    def __init__(self, network: FeatureConnectedLayer) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("months", torch.arange(MONTHLY.bins, dtype=torch.float32), persistent=False)
        self.register_buffer("edges", torch.tensor(AGE_BAND_EDGES[1:-1], dtype=torch.float32), persistent=False)
        self.register_buffer("bias", torch.zeros(2, len(AGE_BAND_EDGES) - 1))

    def training_step(self, batch: tuple[Tensor, ...], _: int) -> Tensor:
        features, distributions, present, sex, ages = batch
        withheld = present * (torch.rand_like(present) > REGION_DROPOUT)
        present = torch.where(withheld.sum(1, keepdim=True) > 0, withheld, present)
        logits = self.network.logits(features, distributions, present, sex)
        spread = functional.cross_entropy(logits, label_distribution(ages, LABEL_SIGMA))
        errors = logits.softmax(-1) @ self.months - ages
        group = (sex.long(), torch.bucketize(ages, self.edges, right=True))
        self._follow_bias(group, errors.detach())
        balance = (self.bias[group] * errors).mean()
        loss: Tensor = spread + 0.1 * errors.abs().mean() + BALANCE * balance
        self.log("mae", errors.abs().mean(), on_step=False, on_epoch=True)
        return loss

    def _follow_bias(self, group: tuple[Tensor, Tensor], errors: Tensor) -> None:
        """Running mean error of each sex and age band, over about the last ``BIAS_MEMORY`` hands of it."""
        total = torch.zeros_like(self.bias).index_put(group, errors, accumulate=True)
        count = torch.zeros_like(self.bias).index_put(group, torch.ones_like(errors), accumulate=True)
        self.bias += (count / BIAS_MEMORY).clamp(max=1) * (total / count.clamp(min=1) - self.bias)

    def configure_optimizers(self) -> Any:
        return one_cycle(self, 1e-3, weight_decay=0.1)


def tree_settings(seed: int) -> dict[str, Any]:
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
        "seed": seed,
        "deterministic": True,
        "force_col_wise": True,  # or LightGBM measures which way is faster, and sums in another order
        "num_threads": 2,
        "verbose": -1,
    }


def _tree_data(fitted: CrossFitted, rows: Any) -> lightgbm.Dataset:
    return lightgbm.Dataset(fitted.inputs[rows], fitted.corrections[rows], free_raw_data=False)


def boost(fitted: CrossFitted, run: Run) -> tuple[int, NDArray[np.float64]]:
    """How many trees correct the layer best, a multiple of ten, and the bone ages (N,) of hands outside their fold."""
    steps = range(10, MOST_ROUNDS + 1, 10)
    path = np.zeros((len(steps), len(fitted.ages)))
    for teach, keep in folds(run).split(fitted.ages):
        trees = lightgbm.train(tree_settings(run.config.seed), _tree_data(fitted, teach), MOST_ROUNDS)
        path[:, keep] = [trees.predict(fitted.inputs[keep], num_iteration=step) for step in steps]
    best = int(np.abs(fitted.corrections - path).mean(axis=1).argmin())
    return steps[best], fitted.layer_ages + path[best]


def _region_errors(hands: HandReadings, ages: Floats) -> dict[str, float]:
    """Mean absolute error of each region over the hands on which it was found."""
    errors, present = np.abs(moments(hands.distributions)[0] - ages[:, None]), hands.present > 0
    return {region: _rounded(errors[present[:, row], row].mean()) for row, region in enumerate(hands.regions)}


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
