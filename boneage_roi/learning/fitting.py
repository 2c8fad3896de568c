"""Fitting a network: a tuned CPU, the Lightning trainer, the schedule of learning rates."""

import ctypes
import logging
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from torch.utils.data import DataLoader, Dataset, Sampler

from boneage_roi.learning.checkpoints import load_tensors
from boneage_roi.learning.curves import add_epoch, draw
from boneage_roi.progress import Progress


def tune_cpu() -> None:
    """Keep freed tensors in the process: glibc gives them back after every step, which halves the speed."""
    mmap_threshold, trim_threshold, top_pad = -3, -1, -2
    try:
        libc = ctypes.CDLL("libc.so.6")
    except OSError:
        return
    for option, value in ((mmap_threshold, 1 << 30), (trim_threshold, 1 << 30), (top_pad, 1 << 28)):
        libc.mallopt(option, value)


def fit(
    module: lightning.LightningModule,
    batches: Any,
    *,
    epochs: int,
    folder: Path,
    name: str,
    seed: int,
    clip: float = 1.0,
    title: str = "",
    progress: Progress | None = None,
) -> None:
    """Train to the end of a fixed schedule, resuming from the last finished epoch in ``folder``.

    A training that was stopped and resumed gives the same weights as one that was not: every epoch draws its random
    numbers anew, from the seed and its own number. Learning curves go into ``folder``; TensorBoard's files too, into
    ``folder/tensorboard``, where that is installed.

    Args:
        batches: from :func:`shuffled`. Its data set's ``reseed`` is called with two whole numbers before each epoch,
            where it has one.
        name: of the checkpoint and of the curves.
        title: what ``progress`` is told; the name when it is empty.
        progress: told after every batch, over all epochs.

    Raises:
        InputError: the checkpoint is damaged or holds more than tensors.
    """
    tune_cpu()
    warnings.filterwarnings("ignore", module="lightning")
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    last = folder / f"{name}.ckpt"
    if last.is_file():
        load_tensors(last)
    checkpoints = ModelCheckpoint(folder, filename=name, save_on_train_epoch_end=True, enable_version_counter=False)
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="auto",
        devices=1,
        logger=_tensorboard(folder, name),
        callbacks=[_Seeds(seed), _Told(progress, title or name), _Curves(folder, name), checkpoints],
        gradient_clip_val=clip,
        enable_model_summary=False,
        enable_progress_bar=False,
        num_sanity_val_steps=0,
    )
    try:
        trainer.fit(module, batches, ckpt_path=str(last) if last.is_file() else None, weights_only=True)
    except SystemExit:  # what Lightning makes of Ctrl-C, without a word
        raise KeyboardInterrupt from None
    draw(folder)


class _Seeds(Callback):
    """Lets an epoch draw the same random numbers whether the training was stopped before it or not."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        torch.manual_seed(1_000_003 * self.seed + trainer.current_epoch)
        loader: Any = trainer.train_dataloader
        for part in (loader.dataset, loader.sampler):
            if (reseed := getattr(part, "reseed", None)) is not None:
                reseed(self.seed, trainer.current_epoch)


class _Shuffle(Sampler[int]):
    """All samples in an order that hangs on the seed and the epoch alone."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.numbers = (0, 0)

    def reseed(self, seed: int, epoch: int) -> None:
        self.numbers = (seed, epoch)

    def __iter__(self) -> Iterator[int]:
        return iter(np.random.default_rng(self.numbers).permutation(self.length).tolist())

    def __len__(self) -> int:
        return self.length


def shuffled(dataset: Dataset[Any], batch: int, *, drop_last: bool = False) -> DataLoader[Any]:
    """Batches of a data set in a new order every epoch, the same order whether a training was stopped or not."""
    count = len(dataset)  # type: ignore[arg-type]
    # The generator is the loader's own, or it would draw from the one that dropout draws from.
    own = torch.Generator()
    return DataLoader(dataset, batch, sampler=_Shuffle(count), drop_last=drop_last, generator=own)


class _Told(Callback):
    """Tells how many batches of all epochs are done."""

    def __init__(self, progress: Progress | None, title: str) -> None:
        self.progress, self.title = progress, title

    def _tell(self, trainer: lightning.Trainer) -> None:
        if self.progress is None:
            return
        epochs = trainer.max_epochs or 1
        total = epochs * int(trainer.num_training_batches)
        self.progress(f"{self.title} ({epochs} epochs)", min(trainer.global_step, total), total)

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._tell(trainer)

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any, **__: Any) -> None:
        self._tell(trainer)


class _Curves(Callback):
    """Keeps the mean of everything that was logged in an epoch, and the learning rate at its end."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        values = {name: float(value) for name, value in trainer.callback_metrics.items()}
        rate = float(trainer.optimizers[0].param_groups[0]["lr"])
        add_epoch(self.folder, self.name, trainer.current_epoch + 1, {**values, "learning_rate": rate})


def _tensorboard(folder: Path, name: str) -> Any:
    """A logger where TensorBoard is installed."""
    if find_spec("tensorboard") is None:
        return False
    from lightning.pytorch.loggers import TensorBoardLogger

    return TensorBoardLogger(folder, name="tensorboard", version=name)


def one_cycle(
    module: lightning.LightningModule, rate: float, *, weight_decay: float, warm_up: float = 0.3
) -> dict[str, Any]:
    """AdamW on one cycle of learning rates (Smith & Topin 2018) over the whole training, for ``configure_optimizers``.

    Args:
        rate: the highest learning rate.
        warm_up: the share of the steps in which it rises.
    """
    optimizer = torch.optim.AdamW(module.parameters(), lr=rate, weight_decay=weight_decay)
    steps = int(module.trainer.estimated_stepping_batches)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=warm_up)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
