"""Every network can learn: a handful of real hands by heart in a few dozen steps."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from boneage_roi.detection.dataset import write_dataset
from boneage_roi.detection.labels import build_labels
from boneage_roi.detection.model import open_yolo
from boneage_roi.fusion.layer import LayerTraining, build_layer
from boneage_roi.fusion.train import load_hands
from boneage_roi.regional_models.dataset import RegionDataset
from boneage_roi.regional_models.networks import build_network
from boneage_roi.regional_models.train import RegionTraining
from boneage_roi.regional_models.train import load_samples as load_crops
from boneage_roi.regions import REGIONS
from boneage_roi.runs.run import Run
from boneage_roi.segmentation.dataset import HandDataset
from boneage_roi.segmentation.model import HandUNet
from boneage_roi.segmentation.train import SegmenterTraining
from boneage_roi.segmentation.train import load_samples as load_outlines
from tests.real.tiny import keep_boxes, label_boxes

Batch = tuple[torch.Tensor, ...]


def losses(
    step: Callable[[Batch, int], torch.Tensor], module: torch.nn.Module, batch: Batch, steps: int
) -> list[float]:
    """Train on one batch; the loss before every step."""
    optimizer = torch.optim.AdamW(module.parameters(), lr=2e-3)
    module.train()
    values = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = step(batch, 0)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        values.append(float(loss.detach()))
    return values


@pytest.fixture(autouse=True)
def _quiet_and_repeatable(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    for module in (SegmenterTraining, RegionTraining, LayerTraining):  # there is no trainer to log to
        monkeypatch.setattr(module, "log", lambda *_, **__: None)
        monkeypatch.setattr(module, "log_dict", lambda *_, **__: None)


def test_segmenter(segmented_run: Run) -> None:
    hands = segmented_run.manifest.set_index("id")
    drawn = load_outlines(segmented_run, hands[hands.split == "train"].head(6), 96)
    dataset = HandDataset([sample for sample in drawn.values() if sample.mask is not None], seed=0)
    batch = tuple(torch.stack(column) for column in zip(*(dataset[row] for row in range(len(dataset))), strict=True))
    module = SegmenterTraining(HandUNet(), 2e-3, 0.1)
    values = losses(module.training_step, module, batch, 40)
    assert np.mean(values[-3:]) < 0.5 * values[0]


def test_detector(segmented_run: Run, tmp_path: Path) -> None:
    labels = build_labels(segmented_run)
    keys = segmented_run.manifest.query("split == 'train'").id
    few = labels[labels.id.isin(set(keys[keys.isin(labels.id)].head(8)))]
    data = write_dataset(segmented_run, few, tmp_path / "data", 128)
    data.write_text(data.read_text().replace("images/held_out", "images/train"))
    open_yolo().train(
        data=str(data),
        epochs=30,
        imgsz=128,
        batch=8,
        nbs=8,
        project=str(tmp_path),
        name="yolo",
        pretrained=False,
        optimizer="AdamW",
        lr0=0.003,
        warmup_epochs=1,
        mosaic=0,
        degrees=0,
        translate=0,
        scale=0,
        fliplr=0,
        erasing=0,
        workers=0,
        amp=False,
        val=False,
        plots=False,
        save=False,
        verbose=False,
    )
    table = pd.read_csv(tmp_path / "yolo" / "results.csv")
    table.columns = [name.strip() for name in table.columns]
    assert table["train/cls_loss"].iloc[-3:].mean() < 0.6 * table["train/cls_loss"].iloc[0]
    assert table["train/box_loss"].iloc[-3:].mean() < 0.9 * table["train/box_loss"].iloc[0]


@pytest.mark.parametrize("region", ["hand", "carpal", "epiphysis"])
def test_region_network(segmented_run: Run, region: str) -> None:
    if segmented_run.metrics("boxes") is None:
        keep_boxes(segmented_run, label_boxes(build_labels(segmented_run)))
    config = segmented_run.config.regions[region]
    samples = load_crops(segmented_run, region, config.size, config.margin, "train")[:8]
    dataset = RegionDataset(samples, config.size, REGIONS[region].max_crops, seed=0)
    batch = tuple(torch.stack(column) for column in zip(*(dataset[row] for row in range(len(samples))), strict=True))
    module = RegionTraining(build_network(config), config, config.rounds[0])
    values = losses(module.training_step, module, batch, 40)
    assert np.mean(values[-3:]) < 0.6 * values[0]


def test_feature_connected_layer(tiny_run: Run) -> None:
    hands, ages = load_hands(tiny_run)
    settings = tiny_run.config.fusion.layer
    few = np.arange(12)
    batch = (*(torch.from_numpy(array) for array in hands[few].network_inputs.values()), torch.from_numpy(ages[few]))
    module = LayerTraining(build_layer(hands, settings), settings, hands.grid)
    values = losses(module.training_step, module, batch, 300)
    least = 0.5 * np.log(
        2 * np.pi * np.e * settings.label_sigma**2
    )  # the entropy of the labels: no distribution has less loss
    assert np.mean(values[-3:]) - least < 0.6 * (values[0] - least)
