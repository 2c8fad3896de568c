"""The region-based feature-connected layer: the regions' features joined into one age distribution."""

import torch
from torch import Tensor, nn

from boneage_roi.values import MONTHLY


class FeatureConnectedLayer(nn.Module):
    """RB-FCL: joined features, absent ones masked, and the sex go through dense layers to an age distribution.

    The dense layers correct a weighted geometric mean of the regions' own distributions: a few hundred hands can
    teach a correction, but not an age from nothing. At the start the correction is zero.

    Inputs: features (N, R, D), distributions (N, R, bins), present (N, R), sex (N,) with 1 for male.
    Output: distribution (N, bins).
    """

    def __init__(
        self, regions: int, features: int, hidden: int = 64, *, bins: int = MONTHLY.bins, dropout: float = 0.3
    ) -> None:
        super().__init__()
        self.weights = nn.Linear(1, regions)
        self.sharpness = nn.Parameter(torch.ones(1))
        self.dense = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(regions * features + regions + 1, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, bins),
        )
        nn.init.zeros_(self.weights.weight)
        nn.init.zeros_(self.weights.bias)
        last = self.dense[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def logits(self, features: Tensor, distributions: Tensor, present: Tensor, sex: Tensor) -> Tensor:
        """Unnormalised log-probabilities (N, bins)."""
        signed = 2 * sex.unsqueeze(-1) - 1
        weights = self.weights(signed).masked_fill(present < 0.5, -1e4).softmax(-1)
        pooled = (weights.unsqueeze(-1) * (distributions + 1e-6).log()).sum(1)
        joined = (features * present.unsqueeze(-1)).flatten(1)
        correction: Tensor = self.dense(torch.cat([joined, present, signed], dim=-1))
        logits: Tensor = self.sharpness * pooled + correction
        return logits

    def forward(self, features: Tensor, distributions: Tensor, present: Tensor, sex: Tensor) -> Tensor:
        return self.logits(features, distributions, present, sex).softmax(-1)


class Committee(nn.Module):
    """The mean distribution of the layers that cross-fitting trained."""

    def __init__(self, members: list[FeatureConnectedLayer]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, features: Tensor, distributions: Tensor, present: Tensor, sex: Tensor) -> Tensor:
        return torch.stack([member(features, distributions, present, sex) for member in self.members]).mean(0)
