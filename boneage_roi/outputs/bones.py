"""The picture of the hand on which every bone is coloured by how far it is ahead of, or behind, an age."""

from collections.abc import Sequence

import cv2
import numpy as np

from boneage_roi.outputs.overlay import FONT, PANEL, TEXT, Image
from boneage_roi.outputs.scale import colours, scale_bar
from boneage_roi.values import Analysis, BoneReading

HEIGHT = 1024
"""Of the hand, pixels."""

MOST = 24
"""Months ahead or behind at the ends of the scale."""


def draw_bones(analysis: Analysis, bones: Sequence[BoneReading], reference: float, what: str = "bone age") -> Image:
    """A disc on every growth plate, on the carpal block and at the tip of every digit, with the months in it.

    The disc's colour says how far the bone is ahead of the reference (bright) or behind it (dark), and the number says
    the same. A bone that is far from the others has a square around its disc.

    Args:
        bones: ``bones`` of a BoneAge.
        reference: months; the fused bone age, or the chronological age.
        what: name of the reference, for the legend.

    Returns:
        uint8 (H, W, 3), BGR: the hand frame enlarged, and the scale.
    """
    pixels = analysis.frame.pixels
    scale = HEIGHT / pixels.shape[0]
    enlarged = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    canvas = np.repeat((0.75 * enlarged).astype(np.uint8)[..., None], 3, axis=2)
    radius = round(HEIGHT / 50)
    for bone in bones:
        _disc(canvas, bone, reference, scale, radius)
    title = ["months ahead of", f"the {what}", f"({reference:.0f} months)"]
    ticks = [f"{value:+d}" if value else "0" for value in range(-MOST, MOST + 1, MOST // 2)]
    bar = scale_bar(canvas.shape[0] - 90, ticks, title)
    foot = np.full((90, bar.shape[1], 3), PANEL, np.uint8)
    cv2.rectangle(foot, (20, 14), (48, 42), TEXT, 2)
    cv2.putText(foot, "far from", (58, 24), FONT, 0.5, TEXT, 1, cv2.LINE_AA)
    cv2.putText(foot, "the others", (58, 44), FONT, 0.5, TEXT, 1, cv2.LINE_AA)
    return np.hstack([canvas, np.vstack([bar, foot])])


def _disc(canvas: Image, bone: BoneReading, reference: float, scale: float, radius: int) -> None:
    left, top, right, bottom = (scale * side for side in bone.box.box)
    x, y = round((left + right) / 2), round((top + bottom) / 2)
    if bone.box.region == "phalanx":  # the plates have the middle of a digit
        y = round(max(top, 0) + 0.6 * radius)
    x, y = (int(np.clip(at, 1.5 * radius, side - 1.5 * radius)) for at, side in ((x, canvas.shape[1]), (y, HEIGHT)))
    away = bone.months - reference
    colour = colours((away + MOST) / (2 * MOST)).tolist()
    cv2.circle(canvas, (x, y), radius + 2, (0, 0, 0), cv2.FILLED, cv2.LINE_AA)
    cv2.circle(canvas, (x, y), radius + 1, TEXT, 1, cv2.LINE_AA)
    cv2.circle(canvas, (x, y), radius, colour, cv2.FILLED, cv2.LINE_AA)
    if bone.far:
        reach = round(1.4 * radius)
        for tone, width in (((0, 0, 0), 5), (TEXT, 2)):
            cv2.rectangle(canvas, (x - reach, y - reach), (x + reach, y + reach), tone, width)
    text = f"{away:+.0f}" if round(away) else "0"
    size = cv2.getTextSize(text, FONT, 0.5, 1)[0]
    ink = (0, 0, 0) if away > 0 else (255, 255, 255)
    cv2.putText(canvas, text, (x - size[0] // 2, y + size[1] // 2), FONT, 0.5, ink, 1, cv2.LINE_AA)
