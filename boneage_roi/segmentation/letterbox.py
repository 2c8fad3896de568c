"""The square in which the segmenter sees a radiograph."""

import cv2
import numpy as np

from boneage_roi.values import FloatImage


def letterbox_map(height: int, width: int, size: int) -> np.ndarray:
    """Affine map (2, 3) from image pixels to a centred ``size`` x ``size`` square, aspect ratio kept."""
    scale = size / max(height, width)
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    middle = (size - 1) / 2
    return np.array([[scale, 0, middle - scale * centre_x], [0, scale, middle - scale * centre_y]])


def letterbox(pixels: FloatImage, size: int) -> FloatImage:
    """Shrink or grow an image (H, W) into the square (size, size), black around it."""
    height, width = pixels.shape
    scale = size / max(height, width)
    if scale < 1:  # area averaging first: a plain warp would alias
        shrunk = cv2.resize(
            pixels, (max(round(width * scale), 1), max(round(height * scale), 1)), interpolation=cv2.INTER_AREA
        )
        to_square = letterbox_map(shrunk.shape[0], shrunk.shape[1], size)
        return np.asarray(cv2.warpAffine(shrunk, to_square, (size, size)), np.float32)
    return np.asarray(cv2.warpAffine(pixels, letterbox_map(height, width, size), (size, size)), np.float32)
