"""Training the aspect network on squashed ``train`` hands, measuring it on ``fusion`` hands, exporting it."""

from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from boneage_roi.aspect.dataset import AspectDataset, SeenHand, read_samples
from boneage_roi.aspect.model import AspectNet
from boneage_roi.configs.schema import AspectConfig
from boneage_roi.learning.fitting import fit, one_cycle, shuffled
from boneage_roi.learning.onnx_export import export_onnx
from boneage_roi.progress import Progress
from boneage_roi.runs import layout
from boneage_roi.runs.run import Run

BEYOND = 0.005
"""The aspect is corrected where it lies further from 1 than that of so many hands of the right aspect."""

HELD_OUT = ("as_is", "square", "turned")
"""The kinds of held-out views."""

FROZEN_STAGES = 2
"""The first stages keep what ImageNet taught them: they cost the most, and edges are edges."""

BETA = 0.03
"""Errors of the logarithm below this count squared."""


def train_aspect(run: Run, progress: Progress | None = None) -> dict[str, Any]:
    """Train, measure and export the network into ``run/aspect``; does nothing when that is done.

    Needs the samples that :func:`boneage_roi.training.artefacts.cache_aspect_samples` keeps.

    Returns:
        On ``fusion`` hands: the standard deviation of the logarithm of the aspect's error, and its mean, of hands as
        they are, squashed to a square, and turned and squashed; and the ``limit`` beyond which a hand is squashed.
        Nothing on a machine that does not lead: there the network is neither exported nor measured.
    """
    if (metrics := run.begin(layout.ASPECT)) is not None:
        return metrics
    config, path = run.config.aspect or AspectConfig(), run.stage(layout.ASPECT) / layout.SAMPLES_FILE
    lightning.seed_everything(run.config.seed, verbose=False)
    dataset = AspectDataset(read_samples(path, "train"), config.size, seed=0)
    batches = shuffled(dataset, config.batch, drop_last=len(dataset) > config.batch, devices=run.devices)
    module = _LitAspect(AspectNet(), config.learning_rate)
    fit(
        module,
        batches,
        epochs=config.epochs,
        folder=path.parent,
        name="aspect",
        seed=run.config.seed,
        progress=progress,
        devices=run.devices,
    )
    if not run.devices.leads:
        return {}
    held_out = {kind: read_samples(path, kind) for kind in HELD_OUT}
    shift = calibrate(module.network, held_out["as_is"])
    export_aspect(module.network, config.size, path.parent / "aspect.onnx")
    metrics = {"split": "fusion", "train_views": len(dataset), "shift": round(shift, 4)}
    metrics |= measure(module.network, held_out)
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
        self.log("error", (guess - errors).abs().mean(), on_step=False, on_epoch=True, sync_dist=True)
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


def calibrate(network: AspectNet, hands: list[SeenHand]) -> float:
    """Shift what a network says, so that hands of the right aspect are right on average; returns the shift."""
    shift = -float(np.mean(errors(network, hands)))
    *_, last = network.head
    assert isinstance(last, torch.nn.Linear)
    with torch.no_grad():
        last.bias.add_(shift)
    return shift


def errors(network: AspectNet, hands: list[SeenHand]) -> NDArray[np.float64]:
    """What a network says of hands less what is true, (N,)."""
    said = guesses(network, np.stack([hand.view for hand in hands]))
    return np.asarray(said - np.array([hand.error for hand in hands]), float)


def measure(network: AspectNet, held_out: dict[str, list[SeenHand]]) -> dict[str, Any]:
    """Errors of the logarithm on hands as they are, squashed to squares, and turned; the limit for the first."""
    measured: dict[str, Any] = {}
    for kind, hands in held_out.items():
        off = errors(network, hands)
        measured |= {f"{kind}_hands": len(off), f"{kind}_sd": _rounded(off.std()), f"{kind}_mean": _rounded(off.mean())}
        if kind == "as_is":
            measured["limit"] = _rounded(np.quantile(np.abs(off), 1 - BEYOND))
    return measured


def _rounded(value: Any) -> float:
    return round(float(value), 4)


def export_aspect(network: AspectNet, size: int, path: Path) -> None:
    """Write the network; the number of views stays free."""
    example = torch.zeros(2, 1, size, size)
    export_onnx(
        network, (example,), path, input_names=["views"], output_names=["error"], dynamic={"views": {0: "views"}}
    )
