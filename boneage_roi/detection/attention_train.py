"""Training the network of the finder ``attention``: a classifier of ages that sees whole hands, no annotations."""

from typing import Any

import cv2
import lightning
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import Dataset

from boneage_roi.configs.schema import AttentionConfig
from boneage_roi.detection.attention import REGIONS_FOUND
from boneage_roi.errors import InputError
from boneage_roi.learning.backbones import LITE, PIXEL_MEAN, PIXEL_STD, check_backbone, lite_network
from boneage_roi.learning.fitting import fit, one_cycle, shuffled
from boneage_roi.learning.onnx_export import export_onnx
from boneage_roi.progress import Progress
from boneage_roi.regions import detected
from boneage_roi.runs import layout
from boneage_roi.runs.artefacts import FrameCache
from boneage_roi.runs.run import Run

CLASSES_TO = 240.0
"""Months: the classes go up to here."""

WINDOW = 0.35
"""Side of the place that is hidden, as a share of the image's."""


class Classifier(nn.Module):
    """A fully convolutional classifier: images (N, 1, h, w) in 0..1 to class activations (N, classes, h', w')."""

    numbers: Tensor

    def __init__(self, backbone: str, weights: str, classes: int) -> None:
        super().__init__()
        network = lite_network(backbone, weights)
        self.started_from = str(network.started_from)
        self.layers = nn.Sequential(network.conv_stem, network.bn1, *network.blocks)
        self.register_buffer("numbers", torch.arange(classes), persistent=False)
        self.classify = nn.Conv2d(int(network.blocks[-1][-1].conv_pwl.out_channels), classes, 1)

    def maps(self, images: Tensor) -> Tensor:
        """Class activations (N, classes, h', w'); their means are the classes' logits."""
        found: Tensor = self.classify(self.layers((images - PIXEL_MEAN) / PIXEL_STD))
        return found

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The probability (N,) of the most probable class, and its activation (N, h', w'), not below zero."""
        maps = self.maps(images)
        probability = maps.mean((2, 3)).softmax(-1)
        best = probability.argmax(-1, keepdim=True)
        chosen = (self.numbers == best).to(maps.dtype)
        return (probability * chosen).sum(-1), (maps * chosen[:, :, None, None]).sum(1).relu()


class Hands(Dataset[tuple[Tensor, Tensor]]):
    """Whole frames (1, h, w) and age classes; mirrored half of the time, a little turned."""

    def __init__(self, images: np.ndarray, classes: np.ndarray, seed: int) -> None:
        self.images, self.classes, self.seed = images, classes, seed
        self.random = np.random.default_rng(seed)

    def reseed(self, *numbers: int) -> None:
        """Draw from now on what these numbers make."""
        self.random = np.random.default_rng((self.seed, *numbers))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image = self.images[index]
        height, width = image.shape
        degrees, scale = self.random.uniform(-12, 12), self.random.uniform(0.9, 1.1)
        turned = cv2.warpAffine(
            image, cv2.getRotationMatrix2D((width / 2, height / 2), degrees, scale), (width, height)
        )
        if self.random.random() < 0.5:
            turned = turned[:, ::-1]
        greys = np.ascontiguousarray(turned, np.float32) / np.float32(255)
        return torch.from_numpy(greys)[None], torch.tensor(int(self.classes[index]))


class AttentionTraining(lightning.LightningModule):
    """Cross entropy of the age's class; of a share of the hands the most telling place is hidden first."""

    def __init__(self, network: Classifier, config: AttentionConfig) -> None:
        super().__init__()
        self.network, self.config = network, config

    def training_step(self, batch: tuple[Tensor, ...], _: int) -> Tensor:
        images, classes = batch
        images = self._erased(images, classes)
        loss = functional.cross_entropy(self.network.maps(images).mean((2, 3)), classes)
        self.log("loss", loss, on_step=False, on_epoch=True)
        return loss

    def _erased(self, images: Tensor, classes: Tensor) -> Tensor:
        """The images, some of them with the place hidden that speaks most for their class."""
        count = int(self.config.erased * len(images))
        if count == 0:
            return images
        with torch.no_grad():
            maps = self.network.maps(images[:count])[torch.arange(count), classes[:count]]
        height, width = images.shape[2:]
        rows, columns = (int(WINDOW * side) for side in (height, width))
        hidden = images.clone()
        for number in range(count):
            peak = int(maps[number].argmax())
            row, column = divmod(peak, maps.shape[2])
            y = int((row + 0.5) / maps.shape[1] * height - rows / 2)
            x = int((column + 0.5) / maps.shape[2] * width - columns / 2)
            hidden[number, :, max(y, 0) : y + rows, max(x, 0) : x + columns] = images[number].mean()
        return hidden

    def configure_optimizers(self) -> Any:
        return one_cycle(self, self.config.learning_rate, weight_decay=1e-2)


def train_attention(run: Run, progress: Progress | None = None) -> dict[str, Any]:
    """Train, measure and export the network of the finder ``attention`` into ``run/detector``, unless that is done.

    Needs the run's frames.

    Returns:
        The share of the ``fusion`` hands whose age class it tells to within one.
    """
    if (metrics := run.begin(layout.DETECTOR)) is not None:
        return metrics
    config, folder, seed = run.config.attention, run.stage(layout.DETECTOR), run.config.seed
    check_backbone(config.backbone)
    if config.backbone not in LITE:
        raise InputError(f"the finder attention takes one of the backbones {', '.join(LITE)}, not {config.backbone!r}")
    lightning.seed_everything(seed, verbose=False)
    network = Classifier(config.backbone, config.weights, round(CLASSES_TO / config.width) + 1)
    images, classes = _hands(run, "train", config)
    batches = shuffled(Hands(images, classes, seed), config.batch, drop_last=len(images) > config.batch)
    module = AttentionTraining(network, config)
    fit(module, batches, epochs=config.epochs, folder=folder, name="attention", seed=seed, progress=progress)
    exported = run.network(layout.DETECTOR)
    example = torch.zeros(1, 1, *config.size)
    export_onnx(network, (example,), exported, input_names=["image"], output_names=["probability", "activation"])
    metrics = {
        "split": "fusion",
        "regions": [region for region in REGIONS_FOUND if region in detected(run.config.regions)],
        "started_from": network.started_from,
        "within_a_class": _within(network, *_hands(run, "fusion", config)),
    }
    run.finish(layout.DETECTOR, metrics, outputs=[exported.name])
    return metrics


def _hands(run: Run, split: str, config: AttentionConfig) -> tuple[np.ndarray, np.ndarray]:
    """Frames uint8 (N, h, w) and age classes (N,) of a split."""
    frames, hands = FrameCache(run), run.manifest
    wanted = hands[(hands.split == split) & hands.id.isin(frames.table.index)]
    height, width = config.size
    images = [cv2.resize(frames[str(key)].pixels, (width, height), interpolation=cv2.INTER_AREA) for key in wanted.id]
    classes = (wanted.boneage.to_numpy(float) / config.width).round().astype(np.int64)
    return np.stack(images), classes.clip(0, round(CLASSES_TO / config.width))


def _within(network: Classifier, images: np.ndarray, classes: np.ndarray) -> float:
    network.eval()
    found = []
    with torch.no_grad():
        for start in range(0, len(images), 32):
            batch = torch.from_numpy(images[start : start + 32].astype(np.float32) / 255)[:, None]
            found.append(network.maps(batch).mean((2, 3)).argmax(-1).numpy())
    return round(float((np.abs(np.concatenate(found) - classes) <= 1).mean()), 4)
