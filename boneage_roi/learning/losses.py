"""Losses over an age distribution, by name. A new one is a function and an entry in ``LOSSES``."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from boneage_roi.configs.schema import RegionConfig
from boneage_roi.errors import InputError
from boneage_roi.values import MONTHLY, AgeGrid

Loss = Callable[[Tensor, Tensor, RegionConfig, AgeGrid], Tensor]
"""``loss(logits, ages, settings, grid)``: of logits (N, bins) of hands whose ages (N,) in months are known."""


def label_distribution(ages: Tensor, sigma: float, grid: AgeGrid = MONTHLY) -> Tensor:
    """A Gaussian around each age (N,) over the grid's ages, (N, bins), each row summing to one."""
    months = torch.from_numpy(grid.months).to(ages.device)
    return (-0.5 * ((months - ages.unsqueeze(-1)) / sigma) ** 2).softmax(-1)


def expected_ages(logits: Tensor, grid: AgeGrid) -> Tensor:
    """Means (N,) of the distributions of logits (N, bins), months."""
    return logits.softmax(-1) @ torch.from_numpy(grid.months).to(logits.device)


def distribution(logits: Tensor, ages: Tensor, settings: RegionConfig, grid: AgeGrid) -> Tensor:
    """Label distribution and expected age learnt together (Gao et al., IJCAI 2018)."""
    targets = label_distribution(ages, settings.label_sigma, grid)
    spread = -(targets * logits.log_softmax(-1)).sum(-1).mean()
    error = (expected_ages(logits, grid) - ages).abs().mean()
    return settings.distribution_weight * spread + settings.l1_weight * error


def classes(logits: Tensor, ages: Tensor, settings: RegionConfig, grid: AgeGrid) -> Tensor:
    """Cross entropy of the grid's nearest age."""
    nearest = (ages / grid.width).round().long().clamp(0, grid.bins - 1)
    return functional.cross_entropy(logits, nearest)


def absolute(logits: Tensor, ages: Tensor, settings: RegionConfig, grid: AgeGrid) -> Tensor:
    """Mean absolute error of the expected age, months."""
    return (expected_ages(logits, grid) - ages).abs().mean()


def squared(logits: Tensor, ages: Tensor, settings: RegionConfig, grid: AgeGrid) -> Tensor:
    """Mean squared error of the expected age, months squared."""
    return ((expected_ages(logits, grid) - ages) ** 2).mean()


LOSSES: dict[str, Loss] = {
    "distribution": distribution,
    "cross-entropy": classes,
    "mae": absolute,
    "mse": squared,
}


def find_loss(name: str) -> Loss:
    """The loss of a name.

    Raises:
        InputError: there is none; the message lists the known ones.
    """
    if name not in LOSSES:
        raise InputError(f"unknown loss {name!r}; known are {', '.join(LOSSES)}")
    return LOSSES[name]
