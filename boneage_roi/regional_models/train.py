"""Training one region's CNN on the ``train`` split, measuring it on the ``fusion`` split, exporting it."""

from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader

from boneage_roi.configs.schema import RegionConfig
from boneage_roi.datasets.cache import FrameCache, read_boxes
from boneage_roi.regional_models.crops import cut_crops
from boneage_roi.regional_models.dataset import CONTEXT, RegionDataset, RegionSample
from boneage_roi.regional_models.model import RegionNet
from boneage_roi.regions import AGE_BINS, Region
from boneage_roi.runs import Run
from boneage_roi.training import export_onnx, fit, one_cycle


def train_region(run: Run, region: Region) -> dict[str, Any]:
    """Train, measure and export one region's CNN into ``run/regions/<region>``; does nothing when that is done.

    Needs the run's frames and, but for the whole hand, its boxes.

    Returns:
        Mean absolute error in months on the ``fusion`` split, and on how many hands the region was found.
    """
    stage = f"regions/{region}"
    if (metrics := run.metrics(stage)) is not None:
        return metrics
    config, folder = run.config.regions[region], run.stage(stage)
    samples = load_samples(run, region, config)
    lightning.seed_everything(run.config.seed, verbose=False)
    train = RegionDataset(samples["train"], config.size, region.max_crops, seed=run.config.seed, augment=True)
    batches = DataLoader(train, config.batch, shuffle=True, drop_last=len(train) > config.batch)
    module = _LitRegion(RegionNet(config.stages, sex_head=config.sex_loss_weight > 0), config)
    fit(module, batches, epochs=config.epochs, folder=folder, name="last")
    export_region(module.network, region, config, folder / f"{region}.onnx")
    held_out = RegionDataset(samples["fusion"], config.size, region.max_crops, seed=0, augment=False)
    metrics = measure(module.network, held_out) | {"split": "fusion", "train_hands": len(train)}
    run.finish(stage, metrics)
    return metrics


def load_samples(run: Run, region: Region, config: RegionConfig) -> dict[str, list[RegionSample]]:
    """Cut the region's crops of the ``train`` and ``fusion`` hands into memory, by split."""
    frames = FrameCache(run)
    boxes = {} if region is Region.HAND else read_boxes(run)
    samples: dict[str, list[RegionSample]] = {"train": [], "fusion": []}
    hands = run.manifest
    wanted = hands[hands.split.isin(list(samples)) & hands.id.isin(frames.table.index)]
    hand: Any
    for hand in track(list(wanted.itertuples()), f"{region} crops"):
        found = boxes.get(str(hand.id), [])
        crops = cut_crops(frames[str(hand.id)], found, region, config.size, config.margin, CONTEXT)
        if crops is not None:
            samples[str(hand.split)].append(RegionSample(crops, float(hand.boneage), float(hand.sex == "M")))
    return samples


class _LitRegion(lightning.LightningModule):
    """Label distribution and expected-age loss (Gao et al., IJCAI 2018), sex loss when asked for."""

    months: Tensor

    def __init__(self, network: RegionNet, config: RegionConfig) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)
        self.config = config
        self.register_buffer("months", torch.arange(AGE_BINS, dtype=torch.float32), persistent=False)

    def training_step(self, batch: tuple[Tensor, ...], _: int) -> Tensor:
        crops, present, places, sex, ages = batch
        pooled = self.network.pooled(crops, present, places)
        logits, _features = self.network.heads(pooled, sex)
        targets = label_distribution(ages, self.config.label_sigma)
        spread = -(targets * logits.log_softmax(-1)).sum(-1).mean()
        error = (logits.softmax(-1) @ self.months - ages).abs().mean()
        loss: Tensor = spread + self.config.l1_weight * error
        if self.network.sex_head is not None:
            guess = self.network.sex_head(pooled).squeeze(-1)
            loss = loss + self.config.sex_loss_weight * functional.binary_cross_entropy_with_logits(guess, sex)
        self.log("mae", error, prog_bar=True)
        return loss

    def configure_optimizers(self) -> Any:
        return one_cycle(self, self.config.learning_rate, weight_decay=self.config.weight_decay)


def label_distribution(ages: Tensor, sigma: float) -> Tensor:
    """A Gaussian around each age (N,) over the months, (N, 240), each row summing to one."""
    months = torch.arange(AGE_BINS, device=ages.device)
    return (-0.5 * ((months - ages.unsqueeze(-1)) / sigma) ** 2).softmax(-1)


def measure(network: RegionNet, dataset: RegionDataset) -> dict[str, Any]:
    """Mean absolute error in months over a data set without augmentation."""
    network.eval()
    months, errors = torch.arange(AGE_BINS, dtype=torch.float32), []
    with torch.no_grad():
        for crops, present, places, sex, ages in DataLoader(dataset, 32):
            distribution, _ = network(crops, present, places, sex)
            errors.append((distribution @ months - ages).abs())
    error: NDArray[np.float32] = torch.cat(errors).numpy() if errors else np.zeros(0, np.float32)
    return {"hands": len(error), "mae": round(float(error.mean()), 3)}


def export_region(network: RegionNet, region: Region, config: RegionConfig, path: Path) -> None:
    """Write the region's network; the number of hands and of crops stays free."""
    network.sex_head = None
    crops = min(region.max_crops, 2)
    example = (
        torch.zeros(1, crops, 1, *config.size),
        torch.ones(1, crops),
        torch.zeros(1, crops, 4),
        torch.zeros(1),
    )
    free = {0: "hands", 1: "crops"}
    export_onnx(
        network,
        example,
        path,
        input_names=["crops", "present", "places", "sex"],
        output_names=["distribution", "features"],
        dynamic={"crops": free, "present": free, "places": free, "sex": {0: "hands"}},
    )
