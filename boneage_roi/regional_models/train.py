"""Training one region's CNN on the ``train`` split, measuring it on the ``fusion`` split, exporting it."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader

from boneage_roi.configs.schema import RegionConfig, RoundConfig
from boneage_roi.errors import InputError
from boneage_roi.learning.fitting import fit, optimised, shuffled
from boneage_roi.learning.losses import class_weights, expected_ages, find_loss, nearest_class, weighted_mean
from boneage_roi.learning.onnx_export import export_onnx, load_onnx
from boneage_roi.progress import Progress, tracked
from boneage_roi.regional_models.crops import cut_crops
from boneage_roi.regional_models.dataset import CONTEXT, RegionDataset, RegionSample, repeat_rare
from boneage_roi.regional_models.mapped import mapped
from boneage_roi.regional_models.networks import RegionNetwork, build_network
from boneage_roi.regions import REGIONS
from boneage_roi.runs import layout
from boneage_roi.runs.artefacts import FrameCache, read_boxes
from boneage_roi.runs.run import Run
from boneage_roi.values import MONTHLY, AgeGrid


def train_region(run: Run, region: str, start: Path | None = None, progress: Progress | None = None) -> dict[str, Any]:
    """Train, measure and export one region's CNN into ``run/regions/<region>``; does nothing when that is done.

    Needs the run's frames and, but for the whole hand, its boxes.

    Args:
        start: an exported network of this region to go on from instead of ImageNet.

    Returns:
        Mean absolute error in months on the ``fusion`` split, and on how many hands the region was found. Nothing on a
        machine that does not lead: there the network is neither exported nor measured.
    """
    stage = layout.region_stage(region)
    if (metrics := run.begin(stage)) is not None:
        return metrics
    config, exported = run.config.regions[region], run.network(stage)
    lightning.seed_everything(run.config.seed, verbose=False)
    network = build_network(config, run.config.grid)
    if start is not None:
        load_onnx(network, start)
    parameters = sum(value.numel() for value in network.parameters())
    rounds = range(1, len(config.rounds) + 1)
    images = [_train_round(network, run, region, number, progress) for number in rounds]
    if not run.devices.leads:
        return {}
    export_region(network, region, config, exported)
    held_out_samples = cut_samples(run, region, config.size, config.margin, "fusion", progress)
    with mapped(run.stage(stage) / layout.CROPS_FILE, held_out_samples) as samples:
        held_out = RegionDataset(samples, config.size, REGIONS[region].max_crops, seed=0)
        metrics = measure(network, held_out, run.config.grid) | {
            "split": "fusion",
            "train_images": images[-1],
            "started_from": network.started_from if start is None else "another bundle",
            "parameters": parameters,
        }
    run.finish(stage, metrics, outputs=[exported.name])
    return metrics


def _train_round(network: RegionNetwork, run: Run, region: str, number: int, progress: Progress | None) -> int:
    """Train one round, numbered from 1; the crops of its size lie in a file until its end. Returns their images."""
    config = run.config.regions[region]
    settings, folder = config.rounds[number - 1], run.stage(layout.region_stage(region))
    size, seed, devices = settings.size or config.size, run.config.seed + number, run.devices
    file = folder / (layout.CROPS_FILE if devices.leads else f"{devices.node}-{layout.CROPS_FILE}")
    with mapped(file, cut_samples(run, region, size, config.margin, "train", progress)) as samples:
        if not samples:
            raise InputError(
                f"{run.path}: {region} was found on none of the `train` hands, so what finds regions failed: look at "
                f"{run.path / layout.DETECTOR} (metrics.json, curves.png); more annotated hands or epochs may help"
            )
        changes = {name: getattr(settings, name) for name in ("augmentation", "bad_exports", "aspect")}
        weights = HandWeights(samples, run.config.grid) if config.weigh_classes else None
        shown = repeat_rare(samples, settings.rare_ages)
        dataset = RegionDataset(shown, size, REGIONS[region].max_crops, seed=seed, **changes)
        batches = shuffled(dataset, config.batch, drop_last=len(dataset) > config.batch, devices=devices)
        before = {name: value.clone() for name, value in network.state_dict().items()}
        fit(
            RegionTraining(network, config, settings, run.config.grid, weights),
            batches,
            epochs=settings.epochs,
            folder=folder,
            name=f"round{number}",
            seed=seed,
            title=f"{region}, round {number} of {len(config.rounds)}",
            progress=progress,
            devices=devices,
        )
    average(network, before, settings.keep)
    return len(dataset)


def average(network: RegionNetwork, before: dict[str, Tensor], keep: float) -> None:
    """Move the weights and batch norms of a network back by a share ``keep`` of the way to those ``before``."""
    after = network.state_dict()
    mixed = {name: value.lerp(before[name], keep) for name, value in after.items() if value.is_floating_point()}
    network.load_state_dict(mixed, strict=False)


def load_samples(
    run: Run, region: str, size: tuple[int, int], margin: float, split: str, progress: Progress | None = None
) -> list[RegionSample]:
    """The region's crops of a split's hands in memory, see :func:`cut_samples`."""
    return list(cut_samples(run, region, size, margin, split, progress))


def cut_samples(
    run: Run, region: str, size: tuple[int, int], margin: float, split: str, progress: Progress | None = None
) -> Iterator[RegionSample]:
    """Cut the region's crops of a split's hands, with some context around them."""
    frames = FrameCache(run)
    boxes = {} if REGIONS[region].whole else read_boxes(run)
    hands = run.manifest
    wanted = hands[(hands.split == split) & hands.id.isin(frames.table.index)]
    hand: Any
    for hand in tracked(wanted.itertuples(), f"{region} crops", len(wanted), progress):
        key = str(hand.id)
        cut = partial(cut_crops, boxes=boxes.get(key, []), region=region, size=size, margin=margin, context=CONTEXT)
        if (crops := cut(frames[key])) is not None:
            bad_export = cut(frames.bad_export(key)) if split == "train" else None
            yield RegionSample(crops, float(hand.boneage), float(hand.sex == "M"), bad_export)


class HandWeights:
    """What hands weigh in the loss when every class of age, and either sex, is to count alike."""

    def __init__(self, samples: Sequence[RegionSample], grid: AgeGrid) -> None:
        ages = torch.tensor([sample.boneage for sample in samples])
        male = torch.tensor([int(sample.male) for sample in samples])
        self._grid = grid
        self._ages = class_weights(nearest_class(ages, grid), grid.bins)
        self._sexes = class_weights(male, 2)

    def of_ages(self, ages: Tensor) -> Tensor:
        """(N,) of ages (N,), months."""
        return self._ages.to(ages.device)[nearest_class(ages, self._grid)]

    def of_sexes(self, male: Tensor) -> Tensor:
        """(N,) of sexes (N,), 1 for male."""
        return self._sexes.to(male.device)[male.long()]


class RegionTraining(lightning.LightningModule):
    """The loss of a region's settings, beside it those of single crops and of the sex when asked for."""

    def __init__(
        self,
        network: RegionNetwork,
        config: RegionConfig,
        settings: RoundConfig,
        grid: AgeGrid = MONTHLY,
        weights: HandWeights | None = None,
    ) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)
        self.config, self.settings, self.grid, self.weights = config, settings, grid, weights
        find_loss(config.loss)
        for part in self._frozen():
            part.requires_grad_(False)

    def on_train_epoch_start(self) -> None:
        for part in self._frozen():
            part.eval()

    def _frozen(self) -> list[torch.nn.Module]:
        """What this round does not train."""
        return self.network.stages()[: self.settings.frozen_stages]

    def _age_loss(self, logits: Tensor, ages: Tensor, name: str = "") -> Tensor:
        losses = find_loss(name or self.config.loss)(logits, ages, self.config, self.grid)
        return weighted_mean(losses, None if self.weights is None else self.weights.of_ages(ages))

    def training_step(self, batch: tuple[Tensor, ...], _: int) -> Tensor:
        *seen, ages = batch
        outputs = self.network.outputs(*seen)
        loss = self._age_loss(outputs.logits, ages)
        for name, logits in outputs.others:
            loss = loss + self._age_loss(logits, ages, name)
        if self.settings.single_crops > 0 and (found := self.network.each_alone(*seen)) is not None:
            single, hand = found
            loss = loss + self.settings.single_crops * self._age_loss(single.logits, ages[hand])
        if outputs.sex is not None:
            male = seen[3]
            guessed = functional.binary_cross_entropy_with_logits(outputs.sex, male, reduction="none")
            weights = None if self.weights is None else self.weights.of_sexes(male)
            loss = loss + self.config.sex_loss_weight * weighted_mean(guessed, weights)
        error = (expected_ages(outputs.logits, self.grid) - ages).abs().mean()
        self.log_dict({"mae": error, "loss": loss}, on_step=False, on_epoch=True, sync_dist=True)
        return loss

    def configure_optimizers(self) -> Any:
        config, settings = self.config, self.settings
        return optimised(
            self,
            settings.learning_rate,
            optimizer=config.optimizer,
            schedule=config.schedule,
            weight_decay=config.weight_decay,
            warm_up=settings.warm_up,
        )


def measure(network: RegionNetwork, dataset: RegionDataset, grid: AgeGrid = MONTHLY) -> dict[str, Any]:
    """Mean absolute error in months over a data set without augmentation; of no hands there is none."""
    if not len(dataset):
        return {"hands": 0}
    network.eval()
    months, errors = torch.tensor(grid.months), []
    with torch.no_grad():
        for crops, present, places, sex, ages in DataLoader(dataset, 32):
            distribution = network(crops, present, places, sex)[0]
            errors.append((distribution @ months - ages).abs())
    error: NDArray[np.float32] = torch.cat(errors).numpy()
    return {"hands": len(error), "mae": round(float(error.mean()), 3)}


def export_region(network: RegionNetwork, region: str, config: RegionConfig, path: Path) -> None:
    """Write the region's network; the number of hands and of crops stays free."""
    network = network.ready_for_export()
    crops = min(REGIONS[region].max_crops, 2)
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
        output_names=["distribution", "features", *([network.map_name] if network.map_name else [])],
        dynamic={"crops": free, "present": free, "places": free, "sex": {0: "hands"}},
    )
