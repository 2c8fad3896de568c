"""Grey values: from whatever a file holds to 0..1."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from boneage_roi.errors import InputError
from boneage_roi.values import FloatImage


def stretch(pixels: NDArray[np.number[Any]], low: float = 0.1, high: float = 99.9) -> FloatImage:
    """Stretch grey values linearly so that two percentiles become 0 and 1; what lies beyond is clipped.

    Percentiles instead of the extremes, because lead markers and dead pixels are brighter than any bone.

    Args:
        pixels: (H, W), any real type.
        low, high: the percentiles, 0..100.

    Returns:
        float32 (H, W), 0..1.

    Raises:
        InputError: the image is blank (the two percentiles are the same grey), or not finite.
    """
    p_lo, p_hi = np.percentile(pixels, [low, high])
    if not np.isfinite([p_lo, p_hi]).all():
        raise InputError("the image holds values that are not finite numbers; export it again")
    if p_hi <= p_lo:
        raise InputError("the image is blank: all of it is one grey")
    values: FloatImage = (pixels.astype(np.float32) - np.float32(p_lo)) / np.float32(p_hi - p_lo)
    return values.clip(0.0, 1.0)
