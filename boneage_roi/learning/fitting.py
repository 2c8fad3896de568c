"""Fitting a network: a tuned CPU, the Lightning trainer, the schedule of learning rates."""

import ctypes
import logging
import time
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from torch import distributed
from torch.utils.data import DataLoader, Dataset, Sampler

from boneage_roi.learning.checkpoints import load_tensors
from boneage_roi.learning.curves import add_epoch, draw
from boneage_roi.learning.devices import ONE_DEVICE, Devices
from boneage_roi.learning.relay import relayed
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
    devices: Devices = ONE_DEVICE,
) -> None:
    """Train to the end of a fixed schedule, resuming from the last finished epoch in ``folder``.

    A training that was stopped and resumed gives the same weights as one that was not: every sample draws its random
    numbers anew, from the seed, the number of the epoch and its own. So it looks the same whichever device or process
    makes it, and a training on several devices differs from one on a single one by dropout and batch norms alone. Then
    the module and the data set go to new processes, and only the first of them writes. Learning curves go into
    ``folder``; TensorBoard's files too, into ``folder/tensorboard``, where that is installed.

    Args:
        batches: from :func:`shuffled`, for the same devices.
        name: of the checkpoint and of the curves.
        title: what ``progress`` is told; the name when it is empty.
        progress: told after every batch, over all epochs.
        devices: what to train on.

    Raises:
        InputError: the checkpoint is damaged or holds more than tensors.
    """
    last = folder / f"{name}.ckpt"
    begun = int(load_tensors(last).get("epoch", -1)) + 1 if last.is_file() else 0
    batches.sampler.reseed(seed, begun)  # loader processes begin before the epoch does
    checkpoints = ModelCheckpoint(folder, filename=name, save_on_train_epoch_end=True, enable_version_counter=False)
    with relayed(progress, across=devices.world > 1) as told:
        trainer = lightning.Trainer(
            max_epochs=epochs,
            logger=_tensorboard(folder, name),
            callbacks=[_Calm(), _Seeds(seed), _Told(told, title or name), _Curves(folder, name), checkpoints],
            gradient_clip_val=clip,
            enable_model_summary=False,
            enable_progress_bar=False,
            num_sanity_val_steps=0,
            **devices.trainer_options(f"{folder.name}/{name}"),
        )
        try:
            trainer.fit(module, batches, ckpt_path=str(last) if last.is_file() else None, weights_only=True)
        except SystemExit:  # what Lightning makes of Ctrl-C, without a word
            raise KeyboardInterrupt from None
    if devices.leads:
        draw(folder)


class _Calm(Callback):
    """Tunes the process that it comes to, and keeps Lightning from talking there."""

    def __init__(self) -> None:
        tune_cpu()
        warnings.filterwarnings("ignore", module="lightning")
        logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
        logging.getLogger("lightning.fabric").setLevel(logging.WARNING)

    def __reduce__(self) -> tuple[type["_Calm"], tuple[()]]:
        return _Calm, ()


class _Seeds(Callback):
    """Lets an epoch draw the same random numbers whether the training was stopped before it or not."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        torch.manual_seed(1_000_003 * self.seed + trainer.current_epoch + 7_919 * trainer.global_rank)
        loader: Any = trainer.train_dataloader
        loader.sampler.reseed(self.seed, trainer.current_epoch)


Key = tuple[int, int, int]
"""Seed, epoch and number of a sample."""


class _Shuffle(Sampler[Key]):
    """All samples in an order that hangs on the seed and the epoch alone; of several devices, this one's share.

    The devices take turns, so that a batch of all of them holds the samples that the batch of a single one would.
    """

    def __init__(self, length: int, batch: int, *, drop_last: bool) -> None:
        self.length = length // batch * batch if drop_last else length
        self.all = length
        self.seed, self.epoch = 0, 0

    def reseed(self, seed: int, epoch: int) -> None:
        self.seed, self.epoch = seed, epoch

    def __iter__(self) -> Iterator[Key]:
        rank, world = _place()
        order = np.random.default_rng((self.seed, self.epoch)).permutation(self.all)[: self.length]
        # Those that would have too few begin again with the first: all devices make as many steps.
        share = np.resize(order, len(self) * world)[rank::world]
        return ((self.seed, self.epoch, int(number)) for number in share)

    def __len__(self) -> int:
        return -(-self.length // _place()[1])


class _Drawn(Dataset[Any]):
    """A data set whose every sample draws random numbers of its own, whoever makes it and when."""

    def __init__(self, dataset: Dataset[Any]) -> None:
        self.dataset = dataset

    def __getitem__(self, key: Key) -> Any:
        if (reseed := getattr(self.dataset, "reseed", None)) is not None:
            reseed(*key)
        return self.dataset[key[-1]]


def _place() -> tuple[int, int]:
    """Which device of how many this process trains on."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return 0, 1
    return distributed.get_rank(), distributed.get_world_size()


class _Batches(DataLoader[Any]):
    """A loader that may go to another process: PyTorch's generators cannot, and this one's draws decide nothing."""

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"generator": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state | {"generator": torch.Generator()})


def shuffled(
    dataset: Dataset[Any], batch: int, *, drop_last: bool = False, devices: Devices = ONE_DEVICE
) -> DataLoader[Any]:
    """Batches of a data set in a new order every epoch, the same order whether a training was stopped or not.

    Args:
        dataset: before each sample its ``reseed`` is called with whole numbers, where it has one.
        batch: samples of a step, over all devices together.
        drop_last: leave out the samples of a last batch that is not full.
    """
    own = max(batch // devices.world, 1)
    count = len(dataset)  # type: ignore[arg-type]
    return _Batches(
        _Drawn(dataset),
        own,
        sampler=_Shuffle(count, own * devices.world, drop_last=drop_last),
        generator=torch.Generator(),  # its own, or it would draw from the one that dropout draws from
        num_workers=devices.workers,
        pin_memory=torch.cuda.device_count() > 0,
    )


class _Told(Callback):
    """Tells how many batches of all epochs are done."""

    def __init__(self, progress: Progress | None, title: str) -> None:
        self.progress, self.title = progress, title

    def _tell(self, trainer: lightning.Trainer) -> None:
        if self.progress is None or not trainer.is_global_zero:
            return
        epochs = trainer.max_epochs or 1
        total = epochs * int(trainer.num_training_batches)
        self.progress(f"{self.title} ({epochs} epochs)", min(trainer.global_step, total), total)

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._tell(trainer)

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any, **__: Any) -> None:
        self._tell(trainer)


class _Curves(Callback):
    """Keeps the mean of everything that was logged in an epoch, the learning rate at its end, and its seconds."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.started = 0.0

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self.started = time.monotonic()

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        values = {name: float(value) for name, value in trainer.callback_metrics.items()}
        rate = float(trainer.optimizers[0].param_groups[0]["lr"])
        seconds = time.monotonic() - self.started
        values |= {"learning_rate": rate, "seconds": seconds}
        add_epoch(self.folder, self.name, trainer.current_epoch + 1, values)


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


def optimised(
    module: lightning.LightningModule,
    rate: float,
    *,
    optimizer: str,
    schedule: str,
    weight_decay: float,
    warm_up: float = 0.3,
) -> dict[str, Any]:
    """Another optimiser or a constant rate, for ``configure_optimizers``; by default that of :func:`one_cycle`.

    Args:
        optimizer: ``adamw``, ``adam`` or ``sgd`` (with a momentum of 0.9).
        schedule: ``one-cycle`` or ``constant``.
    """
    if (optimizer, schedule) == ("adamw", "one-cycle"):
        return one_cycle(module, rate, weight_decay=weight_decay, warm_up=warm_up)
    makers: dict[str, Any] = {
        "adamw": torch.optim.AdamW,
        "adam": torch.optim.Adam,
        "sgd": lambda parameters, **settings: torch.optim.SGD(parameters, momentum=0.9, **settings),
    }
    other = makers[optimizer](module.parameters(), lr=rate, weight_decay=weight_decay)
    if schedule == "constant":
        return {"optimizer": other}
    steps = int(module.trainer.estimated_stepping_batches)
    cycle = torch.optim.lr_scheduler.OneCycleLR(other, rate, total_steps=steps, pct_start=warm_up)
    return {"optimizer": other, "lr_scheduler": {"scheduler": cycle, "interval": "step"}}
