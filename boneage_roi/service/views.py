"""What the page draws, as JSON: places, distributions, pictures."""

import base64
from collections.abc import Collection
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from boneage_roi.outputs.atlas import upright_hand
from boneage_roi.pipeline.reader import BoneAgeReader
from boneage_roi.regional_models.bones import BONES, REGIONS_OF_BONES, bone_of, unread, upright_turns
from boneage_roi.regional_models.crops import Crops, crop_boxes
from boneage_roi.regions import REGIONS
from boneage_roi.values import Analysis, BoneAge, RegionBox

LARGEST_SIDE = 1600
"""Pixels; a larger radiograph is shown smaller."""

IN_A_ROW = 6
"""Crops of a region."""


def geometry(analysis: Analysis) -> dict[str, Any]:
    """Where hand and regions are.

    Returns:
        ``size`` (width, height) of the radiograph; ``hand``: outlines of the hand in its pixels; ``boxes`` with
        corners in pixels of the frame (``box``) and of the radiograph (``corners``, clockwise from the frame's top
        left); ``frame``: its ``size`` and the map (2, 3) ``to_radiograph``; ``inverted``.
    """
    height, width = analysis.radiograph.pixels.shape
    mask = analysis.mask.pixels.astype(np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    close = max(height, width) / 1000
    outlines = [cv2.approxPolyDP(contour, close, True)[:, 0] for contour in contours]
    frame_height, frame_width = analysis.frame.pixels.shape
    return {
        "size": [width, height],
        "hand": [outline.tolist() for outline in outlines if len(outline) > 2],
        "boxes": [box_entry(analysis, box) for box in analysis.boxes],
        "frame": {
            "size": [frame_width, frame_height],
            "to_radiograph": cv2.invertAffineTransform(analysis.frame.to_frame).tolist(),
        },
        "inverted": analysis.frame.inverted,
    }


def box_entry(analysis: Analysis, box: RegionBox) -> dict[str, Any]:
    """A region's box. Its numbers are whole: sent back as they are they give the same bone age."""
    left, top, right, bottom = box.box
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float64)
    return {
        "region": box.region,
        "name": box.name,
        "box": [float(value) for value in box.box],
        "confidence": float(box.confidence),
        "corners": analysis.frame.to_radiograph(corners).round(1).tolist(),
    }


def bones(
    reader: BoneAgeReader, analysis: Analysis, bone_age: BoneAge, include: Collection[str] = ()
) -> list[dict[str, Any]]:
    """What every named bone says alone.

    Args:
        include: with ``distributions`` each has its ``distribution``, with ``pictures`` its ``crop``.

    Returns:
        For each ``name``, ``region``, ``months`` and ``spread`` (None where it is too uncertain alone), ``far``, and
        its middle ``x``, ``y`` in pixels of the radiograph.
    """
    read = {bone.name: bone for bone in bone_age.bones}
    uncertain = unread(analysis.boxes, bone_age.bones)
    entries = {}
    for region in REGIONS_OF_BONES:
        crops = _crops_alone(reader, analysis, region) if "pictures" in include else None
        for place, box in enumerate(crop_boxes(analysis.frame, analysis.boxes, region)):
            name = bone_of(box)
            if name is None or (name not in read and name not in uncertain):
                continue
            bone = read.get(name)
            left, top, right, bottom = box.box
            middle = np.array([[(left + right) / 2, (top + bottom) / 2]], np.float64)
            x, y = analysis.frame.to_radiograph(middle)[0].round(1).tolist()
            entry: dict[str, Any] = {"name": name, "region": region, "months": None, "spread": None, "far": False}
            if bone is not None:
                entry |= {"months": round(float(bone.months), 2), "spread": round(float(bone.spread), 2)}
                entry |= {"far": bone.far}
            if bone is not None and bone.distribution is not None and "distributions" in include:
                entry["distribution"] = [round(float(p), 6) for p in bone.distribution]
            if crops is not None:
                entry["crop"] = data_url(crops.pixels[place])
            entries[name] = entry | {"x": x, "y": y}
    return [entries[name] for name in BONES if name in entries]


def _crops_alone(reader: BoneAgeReader, analysis: Analysis, region: str) -> Crops | None:
    """A region's crops as each is read alone: its digit upright."""
    if region not in reader.readers:
        return None
    frame, boxes = analysis.frame, list(analysis.boxes)
    return reader.readers[region].crops(frame, boxes, turns=upright_turns(frame, boxes, region))


def distributions(bone_age: BoneAge) -> dict[str, list[float]]:
    """The probability of each age that each region gives."""
    return {reading.region: [round(float(p), 6) for p in reading.distribution] for reading in bone_age.readings}


def pictures(reader: BoneAgeReader, analysis: Analysis) -> dict[str, Any]:
    """The radiograph and the crops of each region, as data URLs.

    Returns:
        ``radiograph``: a PNG of 12 bits: the upper eight in red, the lower four in the upper half of green;
        ``crops``: for each region a PNG of its crops, and how many they are; ``frame``: a PNG of the hand
        upright in its frame, on black, its thumb on the right as in the atlas; ``mirrored``: whether it is mirrored.
    """
    pixels = analysis.radiograph.pixels
    scale = min(1.0, LARGEST_SIDE / max(pixels.shape))
    if scale < 1:
        size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.float32)
    fine = np.clip(pixels * 4095 + 0.5, 0, 4095).astype(np.uint16)
    channels = np.zeros((*fine.shape, 3), np.uint8)
    channels[..., 2] = fine >> 4  # red: OpenCV writes BGR
    channels[..., 1] = (fine & 15) << 4
    crops = reader.crops(analysis)
    hand, mirrored = upright_hand(analysis)
    return {
        "frame": data_url(hand),
        "mirrored": mirrored,
        "radiograph": data_url(channels),
        "crops": {
            region: {"count": len(cut.pixels), "image": data_url(sheet(cut.pixels))} for region, cut in crops.items()
        },
    }


def sheet(crops: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Crops (C, h, w) as one image, in rows of :data:`IN_A_ROW`."""
    rows = -(-len(crops) // IN_A_ROW)
    columns = min(len(crops), IN_A_ROW)
    empty = np.zeros((rows * columns - len(crops), *crops.shape[1:]), np.uint8)
    filled = np.concatenate([crops, empty]).reshape(rows, columns, *crops.shape[1:])
    return np.concatenate([np.hstack(list(row)) for row in filled])


def data_url(image: NDArray[np.uint8]) -> str:
    """A PNG that a page can show."""
    png = cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 4])[1].tobytes()
    return "data:image/png;base64," + base64.b64encode(png).decode()


def region_colours() -> dict[str, str]:
    """The colour of every region, as ``#rrggbb``."""
    return {name: "#{:02x}{:02x}{:02x}".format(*region.colour) for name, region in REGIONS.items()}
