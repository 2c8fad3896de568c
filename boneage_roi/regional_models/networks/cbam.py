"""Convolutional block attention (Woo et al., ECCV 2018): which channels, then which places."""

import torch
from torch import Tensor, nn


class ChannelAttention(nn.Module):
    """Weighs channels by their mean and maximum over the image. (N, C, H, W) to (N, C, H, W)."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(channels // reduction, 4)
        self.shared = nn.Sequential(nn.Conv2d(channels, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, channels, 1))

    def forward(self, maps: Tensor) -> Tensor:
        weights = self.shared(maps.mean((2, 3), keepdim=True)) + self.shared(maps.amax((2, 3), keepdim=True))
        weighted: Tensor = maps * weights.sigmoid()
        return weighted


class SpatialAttention(nn.Module):
    """Weighs places by the mean and maximum over the channels. (N, C, H, W) to (N, C, H, W)."""

    def __init__(self, kernel: int = 7) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, kernel, padding=kernel // 2)

    def forward(self, maps: Tensor) -> Tensor:
        summary = torch.cat([maps.mean(1, keepdim=True), maps.amax(1, keepdim=True)], dim=1)
        weighted: Tensor = maps * self.conv(summary).sigmoid()
        return weighted


class CBAM(nn.Module):
    """Channel, then spatial attention, as a residual so that a pretrained backbone starts undisturbed."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.attention = nn.Sequential(ChannelAttention(channels), SpatialAttention())

    def forward(self, maps: Tensor) -> Tensor:
        attended: Tensor = maps + self.attention(maps)
        return attended
