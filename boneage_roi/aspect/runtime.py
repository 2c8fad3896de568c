"""Measuring the aspect of a hand with the exported network."""

from pathlib import Path

import numpy as np

from boneage_roi.aspect.view import aspect_view
from boneage_roi.onnx_session import ON_CPU, Execution, Network
from boneage_roi.values import HandFrame, HandMask

LARGEST = float(np.log(2))
"""No image is taken for more than two times too wide or too high: nobody squashes so far."""


class AspectMeter:
    """The exported network: ``meter(frame, mask)`` says how many times too wide the hand is; 1 is right.

    The width is meant along the image's x axis, whichever way the hand points.

    Args:
        limit: a hand that is wrong by more than this, a natural logarithm, is squashed.
        execution: where the network runs.
    """

    def __init__(self, path: Path, limit: float, execution: Execution = ON_CPU) -> None:
        self._network = Network(path, "the aspect network", execution)
        self._size = self._network.side
        self._limit = limit

    def squash(self, frame: HandFrame, mask: HandMask) -> float:
        """The same of a hand that is further from right than hands are; of any other 1."""
        wide = self(frame, mask)
        return wide if abs(float(np.log(wide))) > self._limit else 1.0

    def __call__(self, frame: HandFrame, mask: HandMask) -> float:
        view, sign = aspect_view(frame, mask, self._size)
        both = np.stack([view, view[:, ::-1]])[:, None].astype(np.float32) / np.float32(255)
        (errors,) = self._network({self._network.inputs[0]: both}, [(2,)])
        error = float(np.mean(errors))
        return float(np.exp(sign * np.clip(error, -LARGEST, LARGEST)))
