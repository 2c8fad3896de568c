"""Depthwise convolutions that train fast on tiny maps.

On a CPU without AVX-512, oneDNN gives the weights' gradient of a 5 x 5 depthwise convolution over 3 x 3 maps several
times slower than the matrix product below; the growth plates' network spends almost half of its training step there.
"""

from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.grad import conv2d_input
from torch.nn.utils import skip_init

TINY = 12
"""Maps of up to so many places are worth the matrix product."""


class DepthwiseConv(nn.Conv2d):
    """A depthwise convolution of stride 1, the same as PyTorch's in all that it gives. (N, C, H, W) to (N, C, H, W)."""

    @classmethod
    def of(cls, conv: nn.Conv2d) -> Self:
        """The same convolution, with the very weights of another."""
        settings = {"padding": conv.padding, "groups": conv.groups, "bias": False}
        made: Self = skip_init(  # type: ignore[no-untyped-call]
            cls, conv.in_channels, conv.out_channels, conv.kernel_size, **settings
        )
        made.weight = conv.weight
        return made

    def forward(self, maps: Tensor) -> Tensor:
        if not self.training or maps.device.type != "cpu" or maps.shape[2] * maps.shape[3] > TINY:
            return super().forward(maps)
        convolved: Tensor = _TinyDepthwise.apply(maps, self.weight, self.padding)
        return convolved


class _TinyDepthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Tensor, weight: Tensor, padding: tuple[int, int]) -> Tensor:
        ctx.save_for_backward(maps, weight)
        ctx.padding = padding
        return functional.conv2d(maps, weight, padding=padding, groups=len(weight))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        maps, weight = ctx.saved_tensors
        to_maps: Tensor = conv2d_input(  # type: ignore[no-untyped-call]
            maps.shape, weight, gradient, padding=ctx.padding, groups=len(weight)
        )
        return to_maps, _weight_gradient(maps, gradient, weight, ctx.padding), None


def _weight_gradient(maps: Tensor, gradient: Tensor, weight: Tensor, padding: tuple[int, int]) -> Tensor:
    """Every place before times every place after, summed over the images, then over all pairs that lie as far apart."""
    rows, columns = weight.shape[2:]
    before = maps.permute(1, 2, 3, 0).flatten(1, 2)
    after = gradient.permute(1, 0, 2, 3).flatten(2)
    products = torch.bmm(before, after).flatten(1)
    down = _distances(maps.shape[2], gradient.shape[2], padding[0])[:, None, :, None]
    right = _distances(maps.shape[3], gradient.shape[3], padding[1])[None, :, None, :]
    inside = (down >= 0) & (down < rows) & (right >= 0) & (right < columns)
    tap = torch.where(inside, down * columns + right, rows * columns).flatten()
    taps = functional.one_hot(tap, rows * columns + 1)[:, :-1].to(products.dtype)
    return (products @ taps).view_as(weight)


def _distances(before: int, after: int, padding: int) -> Tensor:
    """Which tap of the kernel leads from each place before to each place after a convolution."""
    return torch.arange(before)[:, None] + padding - torch.arange(after)
