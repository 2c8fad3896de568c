"""Fitting a network: a tuned CPU, the Lightning trainer, the schedule of learning rates."""

import ctypes
import logging
import warnings
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint, TQDMProgressBar


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
    clip: float = 1.0,
) -> None:
    """Train to the end of a fixed schedule, resuming from the last finished epoch in ``folder``."""
    tune_cpu()
    warnings.filterwarnings("ignore", module="lightning")
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    checkpoints = ModelCheckpoint(folder, filename=name, save_on_train_epoch_end=True, enable_version_counter=False)
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="auto",
        devices=1,
        logger=False,
        callbacks=[checkpoints, TQDMProgressBar(refresh_rate=20)],
        gradient_clip_val=clip,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    last = folder / f"{name}.ckpt"
    try:
        trainer.fit(module, batches, ckpt_path=str(last) if last.is_file() else None, weights_only=False)
    except SystemExit:  # what Lightning makes of Ctrl-C, without a word
        raise KeyboardInterrupt from None


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
