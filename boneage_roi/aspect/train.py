"""Training the aspect network on squashed ``train`` hands, measuring it on ``fusion`` hands, exporting it."""

from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from boneage_roi.aspect.dataset import MOST, AspectDataset, AspectSample, read_samples, squashed_view
from boneage_roi.aspect.model import AspectNet
from boneage_roi.configs.schema import AspectConfig
from boneage_roi.learning.fitting import fit, one_cycle, shuffled
from boneage_roi.learning.onnx_export import export_onnx
from boneage_roi.progress import Progress
from boneage_roi.runs import layout
from boneage_roi.runs.run import Run

BEYOND = 0.005
"""The aspect is corrected where it lies further from 1 than that of so many hands of the right aspect."""

FROZEN_STAGES = 2
"""The first stages keep what ImageNet taught them: they cost the most, and edges are edges."""

BETA = 0.03
"""Errors of the logarithm below this count squared."""


def train_aspect(run: Run, progress: Progress | None = None) -> dict[str, Any]:
    """Train, measure and export the network into ``run/aspect``; does nothing when that is done.

    Needs the samples that :func:`boneage_roi.training.artefacts.cache_aspect_samples` keeps.

    Returns:
        On ``fusion`` hands: the standard deviation of the logarithm of the aspect's error, and its mean, of hands as
        they are, squashed, and squashed and turned; and the ``limit`` beyond which a hand is taken for squashed.
    """
    if (metrics := run.begin(layout.ASPECT)) is not None:
        return metrics
    config, folder = run.config.aspect or AspectConfig(), run.stage(layout.ASPECT)
    splits, samples = run.manifest.set_index("id").split, read_samples(folder / layout.SAMPLES_FILE)
    teaching, held_out = (
        [sample for key, sample in samples.items() if splits[key] == split] for split in ("train", "fusion")
    )
    lightning.seed_everything(run.config.seed, verbose=False)
    dataset = AspectDataset(teaching, config.size, seed=0)
    batches = shuffled(dataset, config.batch, drop_last=len(dataset) > config.batch)
    module = _LitAspect(AspectNet(), config.learning_rate)
    fit(module, batches, epochs=config.epochs, folder=folder, name="aspect", seed=run.config.seed, progress=progress)
    export_aspect(module.network, config.size, folder / "aspect.onnx")
    metrics = measure(module.network, held_out, config.size) | {"split": "fusion", "train_images": len(teaching)}
    run.finish(layout.ASPECT, metrics, outputs=["aspect.onnx"])
    return metrics


class _LitAspect(lightning.LightningModule):
    """Smooth absolute error of the logarithm."""

    def __init__(self, network: AspectNet, learning_rate: float) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)
        self.learning_rate = learning_rate
        for part in self._frozen():
            part.requires_grad_(False)

    def on_train_epoch_start(self) -> None:
        for part in self._frozen():
            part.eval()

    def _frozen(self) -> list[torch.nn.Module]:
        return [self.network.stem, *self.network.blocks[:FROZEN_STAGES]]

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        views, errors = batch
        guess = self.network(views.contiguous(memory_format=torch.channels_last))
        self.log("error", (guess - errors).abs().mean(), on_step=False, on_epoch=True)
        return functional.smooth_l1_loss(guess, errors, beta=BETA)

    def configure_optimizers(self) -> Any:
        return one_cycle(self, self.learning_rate, weight_decay=1e-2)


def guesses(network: AspectNet, views: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What a network says of views (N, S, S) and their mirror images, on average, (N,)."""
    network.eval()
    found = []
    with torch.no_grad():
        for part in np.array_split(views, max(len(views) // 64, 1)):
            both = torch.from_numpy(np.stack([part, part[:, :, ::-1]])).float() / 255
            found.append(network(both.flatten(0, 1)[:, None]).view(2, -1).mean(0))
    return torch.cat(found).numpy()


def measure(network: AspectNet, samples: list[AspectSample], size: int) -> dict[str, Any]:
    """Errors of the logarithm on hands as they are, squashed, squashed and turned, and the limit for the first."""
    random = np.random.default_rng(0)
    squash = random.uniform(-np.log(MOST), np.log(MOST), len(samples))
    turns = random.uniform(-180, 180, len(samples))
    none = np.zeros(len(samples))
    measured: dict[str, Any] = {"hands": len(samples)}
    for name, degrees, error in (("as_is", none, none), ("squashed", none, squash), ("turned", turns, squash)):
        views, signs = zip(
            *(squashed_view(s, d, e, size) for s, d, e in zip(samples, degrees, error, strict=True)), strict=True
        )
        off = guesses(network, np.stack(views)) * np.asarray(signs) - error
        measured |= {f"{name}_sd": round(float(off.std()), 4), f"{name}_mean": round(float(off.mean()), 4)}
        if name == "as_is":
            measured["limit"] = round(float(np.quantile(np.abs(off), 1 - BEYOND)), 4)
    return measured


def export_aspect(network: AspectNet, size: int, path: Path) -> None:
    """Write the network; the number of views stays free."""
    example = torch.zeros(2, 1, size, size)
    export_onnx(
        network, (example,), path, input_names=["views"], output_names=["error"], dynamic={"views": {0: "views"}}
    )
