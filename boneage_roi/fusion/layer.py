"""Training the feature-connected layer, one a fold, and its export."""

from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import TensorDataset

from boneage_roi.configs.schema import LayerConfig
from boneage_roi.fusion.features import HandReadings
from boneage_roi.fusion.kind import Lesson
from boneage_roi.fusion.model import Committee, FeatureConnectedLayer
from boneage_roi.learning.fitting import fit, one_cycle, shuffled
from boneage_roi.learning.losses import label_distribution
from boneage_roi.learning.onnx_export import export_onnx
from boneage_roi.metrics import AGE_BAND_EDGES
from boneage_roi.values import AgeGrid, FloatArray


def cross_fit(lesson: Lesson) -> tuple[Committee, FloatArray]:
    """Train a layer a fold in the lesson's folder; a finished one is loaded.

    Returns:
        All layers, and the distributions (N, bins) that each made of the hands that it had not seen.
    """
    hands, settings, seed = lesson.hands, lesson.settings, lesson.seed
    members, distributions = [], np.zeros((len(hands), hands.grid.bins), np.float32)
    folds = list(lesson.folds())
    for number, (teach, keep) in enumerate(folds):
        lightning.seed_everything(seed + number, verbose=False)
        module = LayerTraining(build_layer(hands, settings.layer), settings.layer, hands.grid)
        tensors = [torch.tensor(array) for array in hands[teach].network_inputs.values()]
        fit(
            module,
            shuffled(TensorDataset(*tensors, torch.from_numpy(lesson.ages[teach])), settings.layer.batch),
            epochs=settings.epochs,
            folder=lesson.folder,
            name=f"fold{number}",
            seed=seed + number,
            title=f"fusion, fold {number + 1} of {len(folds)}",
            progress=lesson.progress,
        )
        members.append(module.network)
        distributions[keep] = run_layer(module.network, hands[keep])
    return Committee(members), distributions


def build_layer(hands: HandReadings, settings: LayerConfig) -> FeatureConnectedLayer:
    """An untrained layer for readings like these."""
    _, regions, width = hands.features.shape
    return FeatureConnectedLayer(regions, width, settings.hidden, bins=hands.grid.bins, dropout=settings.dropout)


def run_layer(network: torch.nn.Module, hands: HandReadings) -> FloatArray:
    """Distributions (N, bins) that a layer or a committee makes of hands."""
    network.eval().cpu()
    with torch.no_grad():
        output: Tensor = network(*(torch.tensor(array) for array in hands.network_inputs.values()))
    return output.numpy()


class LayerTraining(lightning.LightningModule):
    """Label distribution and expected-age loss, and the bias of each sex and age band pushed towards zero.

    A loss on single hands alone draws the ages towards the middle. Now and then a region is withheld, so that absent
    ones do no harm.
    """

    months: Tensor
    edges: Tensor
    bias: Tensor

    def __init__(self, network: FeatureConnectedLayer, settings: LayerConfig, grid: AgeGrid) -> None:
        super().__init__()
        self.network, self.settings, self.grid = network, settings, grid
        self.register_buffer("months", torch.tensor(grid.months), persistent=False)
        self.register_buffer("edges", torch.tensor(AGE_BAND_EDGES[1:-1], dtype=torch.float32), persistent=False)
        self.register_buffer("bias", torch.zeros(2, len(AGE_BAND_EDGES) - 1))

    def training_step(self, batch: tuple[Tensor, ...], _: int) -> Tensor:
        features, distributions, present, sex, ages = batch
        withheld = present * (torch.rand_like(present) > self.settings.region_dropout)
        present = torch.where(withheld.sum(1, keepdim=True) > 0, withheld, present)
        logits = self.network.logits(features, distributions, present, sex)
        spread = functional.cross_entropy(logits, label_distribution(ages, self.settings.label_sigma, self.grid))
        errors = logits.softmax(-1) @ self.months - ages
        group = (sex.long(), torch.bucketize(ages, self.edges, right=True))
        self._follow_bias(group, errors.detach())
        balance = (self.bias[group] * errors).mean()
        loss: Tensor = spread + self.settings.l1_weight * errors.abs().mean() + self.settings.balance * balance
        self.log("mae", errors.abs().mean(), on_step=False, on_epoch=True)
        return loss

    def _follow_bias(self, group: tuple[Tensor, Tensor], errors: Tensor) -> None:
        """Running mean error of each sex and age band, over about the last ``bias_memory`` hands of it."""
        total = torch.zeros_like(self.bias).index_put(group, errors, accumulate=True)
        count = torch.zeros_like(self.bias).index_put(group, torch.ones_like(errors), accumulate=True)
        self.bias += (count / self.settings.bias_memory).clamp(max=1) * (total / count.clamp(min=1) - self.bias)

    def configure_optimizers(self) -> Any:
        return one_cycle(self, self.settings.learning_rate, weight_decay=self.settings.weight_decay)


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
