"""Losses over an age distribution."""

import torch
from torch import Tensor

from boneage_roi.values import MONTHLY


def label_distribution(ages: Tensor, sigma: float) -> Tensor:
    """A Gaussian around each age (N,) over the months, (N, 240), each row summing to one."""
    months = torch.arange(MONTHLY.bins, device=ages.device)
    return (-0.5 * ((months - ages.unsqueeze(-1)) / sigma) ** 2).softmax(-1)
