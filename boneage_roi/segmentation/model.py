"""The hand segmenter: a U-Net that paints the hand and points at two landmarks."""

import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn

from boneage_roi.learning.backbones import PIXEL_MEAN, PIXEL_STD, load_imagenet


class HandUNet(nn.Module):
    """U-Net (Ronneberger et al. 2015) on an ImageNet-initialised EfficientNet-Lite0.

    Maps float32 (N, 1, S, S) in 0..1 to (N, 3, S, S): hand probability, and two maps that each sum to one over
    the image, for the wrist and the middle finger's MCP joint. The landmarks tell the frame which way is up and
    how large the hand is, which no mask alone does when the forearm is long or the thumb is spread.
    """

    def __init__(self, pretrained: bool = True) -> None:
        super().__init__()
        self.unet = smp.Unet(
            "timm-tf_efficientnet_lite0",
            encoder_weights=None,
            in_channels=1,
            classes=3,
            decoder_channels=(64, 48, 32, 16, 8),
        )
        if pretrained:
            load_imagenet(self.unet.encoder)

    def logits(self, images: Tensor) -> Tensor:
        """Unnormalised maps, float32 (N, 3, S, S)."""
        logits: Tensor = self.unet((images - PIXEL_MEAN) / PIXEL_STD)
        return logits

    def forward(self, images: Tensor) -> Tensor:
        logits = self.logits(images)
        mask = logits[:, :1].sigmoid()
        landmarks = logits[:, 1:].flatten(2).softmax(-1).view_as(logits[:, 1:])
        return torch.cat([mask, landmarks], dim=1)
