"""Draw what was found on the radiograph, so that a reader can see what a bone age rests on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from boneage_roi.files import write_atomically
from boneage_roi.regions import REGIONS
from boneage_roi.values import BoneAge, FloatImage, HandFrame, HandMask, Radiograph, RegionBox

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]
Row = tuple[Colour | None, str]
"""One line of the legend: the colour it explains, and text."""

SMALLEST_SIDE = 900
"""Radiographs whose larger side is shorter are drawn enlarged, so that text reads well."""

COLOURS: dict[str, Colour] = {name: region.colour[::-1] for name, region in REGIONS.items()}
"""BGR; without Okabe and Ito's blue, which sinks into the dark."""

PANEL = (24, 24, 24)
TEXT = (235, 235, 235)
FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_overlay(
    radiograph: Radiograph,
    frame: HandFrame | None,
    boxes: Sequence[RegionBox],
    *,
    mask: HandMask | None = None,
    bone_age: BoneAge | None = None,
) -> Image:
    """Draw the hand's outline and the region boxes on a radiograph, with a legend beside it.

    Args:
        radiograph: what was read; dark-on-bright ones stay so.
        frame: the frame that the boxes are in; may be None when there are no boxes.
        boxes: region boxes in frame pixels; they appear turned, as the frame was.
        mask: the hand, drawn as an outline; the contrast shown is taken from it.
        bone_age: heads the legend, and gives each region's age in it.

    Returns:
        uint8 (H, W', 3), BGR: the radiograph, enlarged to 900 px where it is smaller, and the legend on its right.
    """
    height, width = radiograph.pixels.shape
    scale = max(1.0, SMALLEST_SIDE / max(height, width))
    canvas = _canvas(radiograph, mask, scale)
    if mask is not None:
        share = _resize(mask.pixels.astype(np.float32), scale)  # a smooth outline, where enlarging gives it stairs
        contours, _ = cv2.findContours((share > 0.5).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        for contour in contours:
            _outline(canvas, contour[:, 0], COLOURS["hand"])
    if frame is not None:
        for box in boxes:
            _outline(canvas, (frame.to_radiograph(_corners(box)) + 0.5) * scale - 0.5, COLOURS[box.region])
    rows = _header(bone_age) + _region_rows(boxes, bone_age)
    return np.hstack([canvas, _legend(canvas.shape[0], rows)]) if rows else canvas


def save_image(path: str | Path, image: Image) -> None:
    """Write a PNG, whole or not at all; missing folders are made.

    Raises:
        InputError: the place cannot be written to.
    """
    write_atomically(Path(path), encode_png(image))


def encode_png(image: Image) -> bytes:
    """The content of a PNG file."""
    return bytes(cv2.imencode(".png", image)[1].tobytes())


def _canvas(radiograph: Radiograph, mask: HandMask | None, scale: float) -> Image:
    """The radiograph as a colour image, its contrast taken from the hand: lead markers leave a hand all but black."""
    pixels = radiograph.pixels
    if mask is not None and mask.pixels.any():
        low, high = np.percentile(pixels[mask.pixels], [1, 99.5])
        low -= 0.25 * (high - low)
        pixels = ((pixels - low) / max(high - low, 1e-6)).astype(np.float32)
    grey = np.clip(_resize(pixels, scale) * 255, 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def _resize(pixels: FloatImage, scale: float) -> FloatImage:
    height, width = pixels.shape
    size = round(width * scale), round(height * scale)
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC), np.float32)


def _corners(box: RegionBox) -> NDArray[np.float64]:
    left, top, right, bottom = box.box
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float64)


def _outline(canvas: Image, points: NDArray[Any], colour: Colour) -> None:
    """Draw a closed line through points (N, 2) of the canvas, on a dark edge that keeps it visible on bone."""
    drawn = np.rint(points).astype(np.int32)
    thickness = max(1, round(max(canvas.shape[:2]) / 600))
    for line, width in (((0, 0, 0), thickness + 2), (colour, thickness)):
        cv2.polylines(canvas, [drawn], isClosed=True, color=line, thickness=width, lineType=cv2.LINE_AA)


def _legend(height: int, rows: Sequence[Row]) -> Image:
    """A panel as high as the canvas with one line a row."""
    unit = height // 36  # the height of one line
    scale = cv2.getFontScaleFromHeight(FONT, round(unit * 0.6), 1)
    thickness = max(1, round(unit / 20))
    widest = max(cv2.getTextSize(text, FONT, scale, thickness)[0][0] for _, text in rows)
    panel = np.full((height, widest + 4 * unit, 3), PANEL, np.uint8)
    for line, (colour, text) in enumerate(rows):
        baseline = round((line + 1.3) * 1.5 * unit)
        left = unit
        if colour is not None:
            cv2.rectangle(panel, (unit, baseline - round(unit * 0.6)), (2 * unit, baseline), colour, cv2.FILLED)
            left = round(2.5 * unit)
        cv2.putText(panel, text, (left, baseline), FONT, scale, TEXT, thickness, cv2.LINE_AA)
    return panel


def _header(bone_age: BoneAge | None) -> list[Row]:
    if bone_age is None:
        return []
    sex = {"M": "male", "F": "female", None: "sex unknown"}[bone_age.sex]
    lines = [
        f"Bone age {_years(bone_age.months)}",
        f"{bone_age.months:.1f} months, {sex}",
        f"90 %: {bone_age.lower:.0f} to {bone_age.upper:.0f} months",
        *bone_age.flags,
        "",
    ]
    return [(None, line) for line in lines]


def _region_rows(boxes: Sequence[RegionBox], bone_age: BoneAge | None) -> list[Row]:
    """One row for each region that was found or read: its count where it has several crops, and its age."""
    rows: list[Row] = []
    for region, colour in COLOURS.items():
        found = sum(box.region == region for box in boxes)
        age = bone_age.region_age(region) if bone_age else None
        if found or age is not None:
            count = f" x{found}" if REGIONS[region].max_crops > 1 and found else ""
            rows.append((colour, f"{region}{count}" + (f": {age:.0f} months" if age is not None else "")))
    return rows


def _years(months: float) -> str:
    years, rest = divmod(round(months), 12)
    return f"{years} y {rest} m"
