"""Losses over an age distribution, by name. A new one is a function and an entry in ``LOSSES``.

A loss gives a number a hand: what they weigh is not its business, see :func:`class_weights`.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from boneage_roi.configs.schema import RegionConfig
from boneage_roi.errors import look_up
from boneage_roi.values import MONTHLY, AgeGrid

Loss = Callable[[Tensor, Tensor, RegionConfig, AgeGrid], Tensor]
"""``loss(logits, ages, settings, grid)``: (N,) of logits (N, bins) of hands whose ages (N,) in months are known."""


def label_distribution(ages: Tensor, sigma: float, grid: AgeGrid = MONTHLY) -> Tensor:
    """A Gaussian around each age (N,) over the grid's ages, (N, bins), each row summing to one."""
    months = torch.tensor(grid.months).to(ages.device)
    return (-0.5 * ((months - ages.unsqueeze(-1)) / sigma) ** 2).softmax(-1)


def expected_ages(logits: Tensor, grid: AgeGrid) -> Tensor:
    """Means (N,) of the distributions of logits (N, bins), months."""
    return logits.softmax(-1) @ torch.tensor(grid.months).to(logits.device)


def nearest_class(ages: Tensor, grid: AgeGrid) -> Tensor:
    """The class of the grid that each age (N,) in months is nearest to, whole numbers (N,)."""
    return (ages / grid.width).round().long().clamp(0, grid.bins - 1)


def class_weights(classes: Tensor, count: int) -> Tensor:
    """What a hand of each class weighs so that all classes that there are count alike, (count,), 1 in the mean of
    hands.

    Args:
        classes: whole numbers (N,) of all hands.
        count: how many classes there are.

    >>> class_weights(torch.tensor([0, 0, 0, 1]), 3).tolist()
    [0.6666666865348816, 2.0, 0.0]
    """
    hands = torch.bincount(classes, minlength=count).float()
    there = hands > 0
    return torch.where(there, hands.sum() / there.sum() / hands.clamp(min=1), torch.zeros_like(hands))


def weighted_mean(losses: Tensor, weights: Tensor | None) -> Tensor:
    """The mean of losses (N,) of hands that weigh differently; without weights, alike."""
    return losses.mean() if weights is None else (weights * losses).sum() / weights.sum().clamp(min=1e-6)


def distribution(logits: Tensor, ages: Tensor, settings: RegionConfig, grid: AgeGrid) -> Tensor:
    """Label distribution and expected age learnt together (Gao et al., IJCAI 2018)."""
    targets = label_distribution(ages, settings.label_sigma, grid)
    spread = -(targets * logits.log_softmax(-1)).sum(-1)
    error = (expected_ages(logits, grid) - ages).abs()
    return settings.distribution_weight * spread + settings.l1_weight * error


def classes(logits: Tensor, ages: Tensor, settings: RegionConfig, grid: AgeGrid) -> Tensor:
    """Cross entropy of the grid's nearest age."""
    return functional.cross_entropy(logits, nearest_class(ages, grid), reduction="none")


def absolute(logits: Tensor, ages: Tensor, settings: RegionConfig, grid: AgeGrid) -> Tensor:
    """Absolute error of the expected age, months."""
    return (expected_ages(logits, grid) - ages).abs()


def squared(logits: Tensor, ages: Tensor, settings: RegionConfig, grid: AgeGrid) -> Tensor:
    """Squared error of the expected age, months squared."""
    return (expected_ages(logits, grid) - ages) ** 2


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
    return look_up(LOSSES, name, "loss")
