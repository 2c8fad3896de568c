"""Where the crops of a region lie in the hand frame, for maps that a network makes of them."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from boneage_roi.imaging.frame import hand_in
from boneage_roi.regional_models.crops import crop_boxes
from boneage_roi.regional_models.runtime import RegionReader
from boneage_roi.values import Analysis, BoolImage, FloatArray, FloatImage


def on_frame(reader: RegionReader, analysis: Analysis, maps: FloatArray) -> FloatImage:
    """Lay a region's maps, one a crop (C, h, w) of any resolution, onto the frame.

    Returns:
        float32 (H, W), the mean where crops overlap, NaN where no crop looks.
    """
    shape = analysis.frame.pixels.shape
    total, seen = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for box, values in zip(crop_boxes(analysis.frame, analysis.boxes, reader.region), maps, strict=True):
        to_crop = crop_map(box.box, reader.size, reader.margin)
        enlarged = cv2.resize(values.astype(np.float32), reader.size[::-1], interpolation=cv2.INTER_LINEAR)
        back = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
        total += cv2.warpAffine(enlarged, to_crop, shape[::-1], flags=back)
        seen += cv2.warpAffine(np.ones_like(enlarged), to_crop, shape[::-1], flags=back)
    return np.where(seen > 0.5, total / np.maximum(seen, 0.5), np.nan).astype(np.float32)


def crop_map(box: Sequence[float], size: tuple[int, int], margin: float) -> NDArray[np.float64]:
    """The affine map (2, 3) from frame to crop pixels, see :func:`boneage_roi.regional_models.crops.cut_crops`."""
    left, top, right, bottom = box
    scale = min(size[1] / (right - left), size[0] / (bottom - top)) / (1 + 2 * margin)
    middle = np.array([left + right, top + bottom]) / 2
    return np.column_stack([scale * np.eye(2), np.array([size[1], size[0]]) / 2 - scale * middle])


def hand_in_frame(analysis: Analysis) -> BoolImage:
    """Where the hand is in its frame, bool (H, W)."""
    return hand_in(analysis.frame, analysis.mask) > 0
