"""The colour scale of pictures that show numbers on a hand.

Cividis (Nuñez, Anderton and Renslow, PLOS ONE 2018;13:e0199239): alike for every kind of colour vision, and its
lightness rises all the way, so that it reads in grey.
"""

import cv2
import numpy as np
from numpy.typing import ArrayLike

from boneage_roi.outputs.overlay import FONT, PANEL, TEXT, Image

BAR_WIDTH = 190
"""Pixels of a bar with its numbers."""


def colours(shares: ArrayLike) -> Image:
    """The colours, uint8 (..., 3) BGR, of shares 0..1 of a scale; what lies outside gets the end's colour."""
    values = np.asarray(shares, np.float64)
    levels = np.asarray(np.clip(values, 0, 1) * 255, np.uint8).reshape(-1, 1)
    return np.asarray(cv2.applyColorMap(levels, cv2.COLORMAP_CIVIDIS), np.uint8).reshape(*values.shape, 3)


def scale_bar(height: int, ticks: list[str], title: list[str]) -> Image:
    """A panel (height, BAR_WIDTH, 3) with the scale, its lower end below.

    Args:
        ticks: text at equal steps from the lower end to the upper.
        title: lines above it.
    """
    panel = np.full((height, BAR_WIDTH, 3), PANEL, np.uint8)
    for row, line in enumerate(title):
        _write(panel, line, (14, 34 + 24 * row))
    top, bottom = 50 + 24 * len(title), height - 40
    ramp = colours(np.linspace(1, 0, bottom - top))
    panel[top:bottom, 20:52] = ramp[:, None]
    cv2.rectangle(panel, (20, top), (52, bottom), TEXT, 1)
    for place, text in zip(np.linspace(bottom, top, len(ticks)), ticks, strict=True):
        cv2.line(panel, (52, round(place)), (60, round(place)), TEXT, 1)
        _write(panel, text, (66, round(place) + 6))
    return panel


def _write(panel: Image, text: str, place: tuple[int, int]) -> None:
    cv2.putText(panel, text, place, FONT, 0.5, TEXT, 1, cv2.LINE_AA)
