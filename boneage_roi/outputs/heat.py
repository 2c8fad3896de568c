"""Maps of an explanation as heat over the hand, beside the hand itself."""

import cv2
import numpy as np

from boneage_roi.errors import InputError
from boneage_roi.explain.explanation import Explanation
from boneage_roi.outputs.overlay import FONT, PANEL, TEXT, Image
from boneage_roi.outputs.scale import colours, scale_bar
from boneage_roi.values import FloatImage

TILE = 640
"""Height of one hand in pixels."""

TITLE = 34
COLUMNS = 4
HAND_SHOWS = 0.35
"""Share of the radiograph in a place's colour."""


def draw_heat(explanation: Explanation, *, worded: bool = True) -> Image:
    """The hand frame, and each map over it, with the scale on the right.

    Signed maps have their zero in the middle of the scale. Where a map says nothing the hand is plain.

    Args:
        worded: name method and unit above the scale, in English.

    Returns:
        uint8 (H, W, 3), BGR.

    Raises:
        InputError: the method makes no maps.
    """
    if not explanation.maps:
        raise InputError(f"the method {explanation.method!r} makes a table and no map")
    pixels = explanation.analysis.frame.pixels
    hand = np.repeat(pixels[..., None], 3, axis=2)
    low, high = _range(explanation)
    tiles = [_tile(hand, _years(explanation))]
    for name, values in explanation.maps.items():
        tiles.append(_tile(_blend(pixels, values, low, high), name))
    rows = [tiles[start : start + COLUMNS] for start in range(0, len(tiles), COLUMNS)]
    blank = np.full_like(tiles[0], PANEL)
    width = min(len(tiles), COLUMNS)
    picture = np.vstack([np.hstack(row + [blank] * (width - len(row))) for row in rows])
    steps = np.linspace(low, high, 5)
    digits = 0 if high - low > 8 else 1 if high - low > 0.8 else 2
    ticks = [f"{value:+.{digits}f}" if explanation.signed else f"{value:.{digits}f}" for value in steps]
    title = [explanation.method, explanation.unit] if worded else []
    return np.hstack([picture, scale_bar(picture.shape[0], ticks, title)])


def _range(explanation: Explanation) -> tuple[float, float]:
    """The ends of the scale: all values, but for the outermost hundredth."""
    values = np.concatenate([values[~np.isnan(values)] for values in explanation.maps.values()])
    if explanation.signed:
        largest = max(float(np.quantile(np.abs(values), 0.99)), 1e-3)
        return -largest, largest
    return 0.0, max(float(np.quantile(values, 0.99)), 1e-3)


def _blend(pixels: Image, values: FloatImage, low: float, high: float) -> Image:
    known = ~np.isnan(values)
    heat = colours((np.nan_to_num(values, nan=low) - low) / (high - low))
    grey = np.repeat(pixels[..., None], 3, axis=2)
    mixed = (1 - HAND_SHOWS) * heat + HAND_SHOWS * grey
    return np.asarray(np.where(known[..., None], mixed, grey).round(), np.uint8)


def _tile(image: Image, title: str) -> Image:
    height, width = image.shape[:2]
    size = (round(width * TILE / height), TILE)
    enlarged = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)
    head = np.full((TITLE, size[0], 3), PANEL, np.uint8)
    cv2.putText(head, title, (10, 23), FONT, 0.55, TEXT, 1, cv2.LINE_AA)
    return np.vstack([head, enlarged])


def _years(explanation: Explanation) -> str:
    age = explanation.bone_age
    return f"bone age {age.months:.0f} months ({age.lower:.0f} to {age.upper:.0f})"
