"""What families of networks share behind their feature maps: a sex branch, heads for classes and for a single
number."""

import torch
from torch import Tensor, nn

from boneage_roi.values import AgeGrid

SPREAD = 8.0
"""Months: the standard deviation of the distribution that stands for an age told as one number."""


class SexBranch(nn.Module):
    """Joins the sex to a vector: (N, D) and (N,) to (N, D + ``units``); without ``heeds`` there are no units."""

    def __init__(self, units: int = 32, *, heeds: bool = True) -> None:
        super().__init__()
        self.units = units if heeds else 0
        self.dense = nn.Linear(1, units) if heeds else None

    def forward(self, vectors: Tensor, sex: Tensor) -> Tensor:
        if self.dense is None:
            return vectors
        return torch.cat([vectors, self.dense(2 * sex.unsqueeze(-1) - 1).relu()], dim=-1)


class AgeRegression(nn.Module):
    """An age told as one number, as logits of a Gaussian of fixed width around it: vectors (N, D) to (N, bins).

    The mean of the distribution is the number, so that losses on the expected age are losses on it; the more so the
    farther it lies from the grid's ends.
    """

    months: Tensor

    def __init__(self, width: int, grid: AgeGrid, spread: float = SPREAD) -> None:
        super().__init__()
        self.register_buffer("months", torch.from_numpy(grid.months), persistent=False)
        self.number = nn.Linear(width, 1)
        self.middle, self.spread = grid.last / 2, spread

    def age(self, vectors: Tensor) -> Tensor:
        """The age (N, 1) in months of vectors (N, D)."""
        told: Tensor = self.middle * (1 + self.number(vectors))
        return told

    def forward(self, vectors: Tensor) -> Tensor:
        return -0.5 * ((self.months - self.age(vectors)) / self.spread) ** 2


def age_head(width: int, grid: AgeGrid, output: str) -> nn.Module:
    """Logits of the ages of the grid from vectors (N, ``width``): of ``classes``, or by ``regression``."""
    return AgeRegression(width, grid) if output == "regression" else nn.Linear(width, grid.bins)


def mean_of_present(vectors: Tensor, present: Tensor) -> Tensor:
    """The mean (N, D) of the crops' vectors (N, C, D) over the crops that are there, ``present`` (N, C)."""
    weights = present / present.sum(1, keepdim=True).clamp(min=1)
    return (weights.unsqueeze(-1) * vectors).sum(1)
