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
    p_lo, p_hi = (float(grey) for grey in np.percentile(pixels, [low, high]))
    if not np.isfinite(p_hi - p_lo):
        raise InputError("the image holds values that are not finite numbers; export it again")
    if p_hi <= p_lo:
        raise InputError("the image is blank: all of it is one grey")
    # 32 bits and more have neither the precision nor the range in float32.
    wide = np.float32 if pixels.dtype.itemsize < 4 else np.float64
    values = np.subtract(pixels, p_lo, dtype=wide)
    np.divide(values, p_hi - p_lo, out=values)
    return np.asarray(values.clip(0.0, 1.0, out=values), np.float32)
