"""Training the segmenter: a round on drawn outlines and landmarks, a second one on its own confident masks."""

from pathlib import Path
from typing import Any

import cv2
import lightning
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from boneage_roi.configs.schema import SegmenterConfig
from boneage_roi.datasets.manifest import read_hand
from boneage_roi.errors import InputError
from boneage_roi.learning.devices import Devices
from boneage_roi.learning.fitting import fit, one_cycle, shuffled
from boneage_roi.learning.onnx_export import export_onnx
from boneage_roi.progress import Progress, tracked
from boneage_roi.runs import layout
from boneage_roi.runs.run import Run
from boneage_roi.segmentation.dataset import HandDataset, HandSample
from boneage_roi.segmentation.letterbox import letterbox, letterbox_map
from boneage_roi.segmentation.model import HandUNet
from boneage_roi.segmentation.runtime import Segmenter, hand_mask
from boneage_roi.values import Radiograph

CONFIDENT = 0.9
"""Share of the pixels in or near a pseudo-mask that must be sure (below 0.1 or above 0.9)."""

SMALLEST_HAND = 0.05
"""Share of the square that a pseudo-mask must cover."""


def train_segmenter(run: Run, progress: Progress | None = None) -> dict[str, Any]:
    """Train, measure and export the segmenter into ``run/segmenter``; does nothing when that is done.

    Returns:
        Dice and IoU on outlines that neither round saw, by image condition, and the landmarks' errors. Nothing on a
        machine that does not lead: there the network is neither exported nor measured.

    Raises:
        InputError: too few annotations to learn from or to measure on.
    """
    if (metrics := run.begin(layout.SEGMENTER)) is not None:
        return metrics
    config, folder = run.config.segmenter, run.stage(layout.SEGMENTER)
    hands = run.manifest.set_index("id")
    drawn = load_samples(run, hands, config.size, progress)
    train = {key: sample for key, sample in drawn.items() if hands.split[key] == "train"}
    _require_annotations(run, train, {key: drawn[key] for key in drawn.keys() - train.keys()})
    lightning.seed_everything(run.config.seed, verbose=False)
    seed = run.config.seed
    network = _round(list(train.values()), config, folder, 1, HandUNet(), seed, progress, run.devices)
    pseudo = _pseudo_samples(network, hands, set(drawn), config, seed, progress)
    network = _round([*train.values(), *pseudo], config, folder, 2, network, seed + 1, progress, run.devices)
    if not run.devices.leads:
        return {}
    example = torch.zeros(1, 1, config.size, config.size)
    exported = run.network(layout.SEGMENTER)
    export_onnx(network, (example,), exported, input_names=["image"], output_names=["maps"])
    metrics = measure(run, Segmenter(exported)) | {"pseudo_masks": len(pseudo)}
    run.finish(layout.SEGMENTER, metrics, outputs=[exported.name])
    return metrics


def _require_annotations(run: Run, train: dict[str, HandSample], held_out: dict[str, HandSample]) -> None:
    for where, samples in (("in `train`", train), ("outside `train`", held_out)):
        for what in ("mask", "landmarks"):
            if all(getattr(sample, what) is None for sample in samples.values()):
                name = {"mask": "hand outlines", "landmarks": "key points"}[what]
                raise InputError(
                    f"{run.path}: no {name} of hands {where}; the segmenter needs some: docs/reference/data.md"
                )


class SegmenterTraining(lightning.LightningModule):
    """Cross-entropy and Dice for the mask, cross-entropy over the image for each landmark."""

    def __init__(self, network: HandUNet, learning_rate: float, landmark_weight: float) -> None:
        super().__init__()
        self.network = network
        self.learning_rate = learning_rate
        self.landmark_weight = landmark_weight

    def training_step(self, batch: tuple[Tensor, ...], _: int) -> Tensor:
        images, masks, targets, weights = batch
        logits = self.network.logits(images.contiguous(memory_format=torch.channels_last))
        cross = functional.binary_cross_entropy_with_logits(logits[:, :1], masks, reduction="none").mean((1, 2, 3))
        probability = logits[:, :1].sigmoid()
        overlap = (probability * masks).sum((1, 2, 3))
        dice = 1 - (2 * overlap + 1) / (probability.sum((1, 2, 3)) + masks.sum((1, 2, 3)) + 1)
        mask_loss = (weights[:, 0] * (cross + dice)).sum() / weights[:, 0].sum().clamp(min=1)
        spread = -(targets.flatten(2) * logits[:, 1:].flatten(2).log_softmax(-1)).sum(-1).mean(1)
        landmark_loss = (weights[:, 1] * spread).sum() / weights[:, 1].sum().clamp(min=1)
        loss: Tensor = mask_loss + self.landmark_weight * landmark_loss
        self.log_dict({"mask": mask_loss, "landmarks": landmark_loss}, on_step=False, on_epoch=True, sync_dist=True)
        return loss

    def configure_optimizers(self) -> Any:
        return one_cycle(self, self.learning_rate, weight_decay=1e-2, warm_up=0.2)


def _round(
    samples: list[HandSample],
    config: SegmenterConfig,
    folder: Path,
    number: int,
    network: HandUNet,
    seed: int,
    progress: Progress | None,
    devices: Devices,
) -> HandUNet:
    """The first round, on what people drew, or the second, which is shorter and gentler."""
    network = network.to(memory_format=torch.channels_last)
    epochs, rate = [
        (config.epochs, config.learning_rate),
        (config.self_training_epochs, config.learning_rate / 2),
    ][number - 1]
    module = SegmenterTraining(network, rate, config.landmark_weight)
    drawn = [sample for sample in samples if sample.mask is not None and sample.weight == 1]
    others = [sample for sample in samples if sample.mask is None or sample.weight < 1]
    dataset = HandDataset([*others, *(drawn * max(1, len(others) // (2 * max(len(drawn), 1))))], seed)
    batches = shuffled(dataset, config.batch, drop_last=len(dataset) > config.batch, devices=devices)
    title = f"segmenter, round {number} of 2"
    fit(
        module,
        batches,
        epochs=epochs,
        folder=folder,
        name=f"round{number}",
        seed=seed,
        title=title,
        progress=progress,
        devices=devices,
    )
    return module.network


def load_samples(run: Run, hands: pd.DataFrame, size: int, progress: Progress | None = None) -> dict[str, HandSample]:
    """Every hand that has an outline or key points, letterboxed to ``size``."""
    polygons = run.annotated("polygons.json")
    keypoints = run.annotated("keypoints.json")
    samples = {}
    keys = sorted((polygons.keys() | keypoints.keys()) & set(hands.index))
    for key in tracked(keys, "annotated hands", len(keys), progress):
        radiograph = read_hand(hands.loc[key])
        height, width = radiograph.pixels.shape
        to_square = letterbox_map(height, width, size)

        def place(
            points: Any, matrix: NDArray[np.float64] = to_square, w: int = width, h: int = height
        ) -> NDArray[np.float64]:
            pixels = np.asarray(points, np.float64)[:, :2] * [w, h] - 0.5
            return np.asarray(pixels @ matrix[:, :2].T + matrix[:, 2])

        mask = None
        if key in polygons:
            mask = _fill([place(polygon) for polygon in polygons[key]], (size, size))
        landmarks = place(keypoints[key]["keypoints"])[[0, 9]] if key in keypoints else None
        image = (letterbox(radiograph.pixels, size) * 255).astype(np.uint8)
        samples[key] = HandSample(image, mask, landmarks)
    return samples


def _fill(polygons: list[NDArray[np.float64]], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Outlines filled with an accuracy of 1/16 pixel, uint8 (H, W), 0 or 255."""
    mask = np.zeros(shape, np.uint8)
    for polygon in polygons:
        cv2.fillPoly(mask, [np.round(polygon * 16).astype(np.int32)], 255, shift=4)
    return mask


def _pseudo_samples(
    network: HandUNet,
    hands: pd.DataFrame,
    annotated: set[str],
    config: SegmenterConfig,
    seed: int,
    progress: Progress | None,
) -> list[HandSample]:
    """Confident masks and landmarks of training hands that nobody outlined (self-training, Lee 2013)."""
    pool = hands[(hands.split == "train") & ~hands.index.isin(annotated)]
    pool = pool.sample(min(config.self_training_hands, len(pool)), random_state=seed)
    network.eval()
    samples = []
    for _, hand in tracked(list(pool.iterrows()), "pseudo-masks", len(pool), progress):
        square = letterbox(read_hand(hand).pixels, config.size)
        with torch.no_grad():
            maps = network(torch.from_numpy(square)[None, None])[0].numpy()
        found = hand_mask(maps, square.shape)
        near = cv2.dilate(found.pixels.astype(np.uint8), np.ones((9, 9), np.uint8)).astype(bool)
        sure = (maps[0] < 0.1) | (maps[0] > 0.9)
        if near.mean() < SMALLEST_HAND or sure[near].mean() < CONFIDENT:
            continue
        landmarks = np.array([found.wrist, found.middle_mcp]) if found.confidence > 0.8 else None
        mask = found.pixels.astype(np.uint8) * 255
        samples.append(HandSample((square * 255).astype(np.uint8), mask, landmarks, weight=0.5))
    network.train()
    return samples


def measure(run: Run, segmenter: Segmenter) -> dict[str, Any]:
    """Dice and IoU at the radiographs' own size on outlines outside ``train``; landmark errors likewise.

    Landmark errors are a share of the wrist-to-MCP distance, in pixels of the radiograph (``_px``) and, of radiographs
    with a pixel spacing, in millimetres (``_mm``); the axis error is in degrees.
    """
    hands = run.manifest.set_index("id")
    kept_out = set(hands.index[hands.split != "train"])
    polygons = run.annotated("polygons.json")
    keypoints = run.annotated("keypoints.json")
    overlaps, landmarks = [], []
    for key in sorted((polygons.keys() | keypoints.keys()) & kept_out):
        radiograph = read_hand(hands.loc[key])
        height, width = radiograph.pixels.shape
        found = segmenter(radiograph)
        if key in polygons:
            outlines = [np.asarray(polygon, np.float64) * [width, height] - 0.5 for polygon in polygons[key]]
            truth = _fill(outlines, (height, width)) > 127
            both, either = (truth & found.pixels).sum(), (truth | found.pixels).sum()
            dice = 2 * both / (both + either)
            overlaps.append({"condition": condition(radiograph, truth), "iou": both / either, "dice": dice})
        if key in keypoints:
            true = np.asarray(keypoints[key]["keypoints"])[[0, 9], :2] * [width, height] - 0.5
            spacing = radiograph.pixel_spacing
            landmarks.append(_landmark_errors(np.array([found.wrist, found.middle_mcp]), true, spacing))
    table = pd.DataFrame(overlaps)
    by_condition = table.groupby("condition").agg(n=("iou", "size"), iou=("iou", "mean"), dice=("dice", "mean"))
    errors = pd.DataFrame(landmarks)
    return {
        "split": "fusion + test",
        "outlines": len(table),
        "iou": float(table.iou.mean()),
        "iou_worst": float(table.iou.min()),
        "dice": float(table.dice.mean()),
        "by_condition": by_condition.round(4).to_dict("index"),
        "landmark_hands": len(errors),
        **{f"{name}_{stat}": float(value) for name in errors for stat, value in _summary(errors[name]).items()},
    }


def condition(radiograph: Radiograph, hand: NDArray[np.bool_]) -> str:
    """What makes a radiograph hard: ``bright background``, ``framed`` (bright border), ``dark``, or ``plain``."""
    pixels = radiograph.pixels
    background = pixels[~cv2.dilate(hand.astype(np.uint8), np.ones((9, 9), np.uint8)).astype(bool)]
    border = np.concatenate([pixels[:3].ravel(), pixels[-3:].ravel(), pixels[:, :3].ravel(), pixels[:, -3:].ravel()])
    if np.median(background) > 0.35:
        return "bright background"
    if (border > 0.7).mean() > 0.1:
        return "framed"
    return "dark" if np.median(pixels[hand]) < 0.2 else "plain"


def _landmark_errors(
    found: NDArray[np.float64], true: NDArray[np.float64], spacing: tuple[float, float] | None
) -> dict[str, float]:
    axis, true_axis = found[1] - found[0], true[1] - true[0]
    length = float(np.hypot(*true_axis))
    cosine = axis @ true_axis / max(float(np.hypot(*axis)) * length, 1e-9)
    wrist, middle_mcp = np.hypot(*(found - true).T)
    errors = {
        "wrist": wrist / length,
        "middle_mcp": middle_mcp / length,
        "axis": float(np.rad2deg(np.arccos(np.clip(cosine, -1, 1)))),
        "wrist_px": wrist,
        "middle_mcp_px": middle_mcp,
    }
    if spacing is not None:
        errors["wrist_mm"], errors["middle_mcp_mm"] = np.hypot(*((found - true) * spacing[::-1]).T)
    return errors


def _summary(errors: "pd.Series[float]") -> dict[str, float]:
    return {"mean": errors.mean(), "p95": float(errors.quantile(0.95)), "max": errors.max()}
