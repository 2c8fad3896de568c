"""The fast depthwise convolution is a depthwise convolution."""

import pytest
import torch

from boneage_roi.learning.depthwise import DepthwiseConv


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("shape", [(3, 3), (4, 3), (2, 6), (9, 8)])
def test_outputs_and_gradients_are_those_of_pytorch(shape: tuple[int, int], kernel: int) -> None:
    torch.manual_seed(0)
    plain = torch.nn.Conv2d(6, 6, kernel, padding=kernel // 2, groups=6, bias=False)
    fast = DepthwiseConv.of(plain)
    images, weights = torch.randn(4, 6, *shape), torch.randn(4, 6, *shape)
    found = []
    for conv in (plain, fast):
        maps = images.clone().requires_grad_()
        conv.weight.grad = None
        output = conv(maps)
        (output * weights).sum().backward()
        found.append((output.detach(), maps.grad, conv.weight.grad))
    for expected, got in zip(*found, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)
