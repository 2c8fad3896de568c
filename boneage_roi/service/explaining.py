"""Explanations as JSON: each map as a picture that lies over the hand frame."""

from typing import Any

import numpy as np

from boneage_roi.errors import InputError
from boneage_roi.explain import METHODS, Explanation, explain
from boneage_roi.outputs.scale import colours
from boneage_roi.pipeline.reader import BoneAgeReader
from boneage_roi.service.body import Submission
from boneage_roi.service.options import Options
from boneage_roi.service.reading import analyse
from boneage_roi.service.views import data_url
from boneage_roi.values import FloatImage

OPAQUE = 0.62
"""How much a map hides of the radiograph below it."""


def explanation_json(reader: BoneAgeReader, submission: Submission, options: Options) -> dict[str, Any]:
    """An explanation of an upload's bone age.

    Returns:
        As :meth:`boneage_roi.explain.Explanation.to_dict`, with ``low`` and ``high``, the ends of the colour scale,
        ``scale``, its colours from low to high, ``layer``: all maps in one, and ``pictures``: each map by name. Both
        are PNG of the frame's size, clear where a map says nothing.

    Raises:
        InputError: no such method, or the sex is not known.
        RejectedError: the image gets no bone age.
    """
    if options.method not in METHODS:
        raise InputError(f"method: unknown {options.method[:40]!r}; known are {', '.join(METHODS)}")
    analysis = analyse(reader, submission, options)
    found = explain(analysis, options.method, bundle=reader)
    said = found.to_dict()
    if not found.maps:
        return said
    low, high = _range(found)
    with np.errstate(all="ignore"):
        together = np.fmax.reduce(list(found.maps.values()))
    return said | {
        "signed": found.signed,
        "low": low,
        "high": high,
        "scale": ["#{:02x}{:02x}{:02x}".format(*colour[::-1]) for colour in colours(np.linspace(0, 1, 9)).tolist()],
        "layer": _picture(together, low, high),
        "pictures": {name: _picture(values, low, high) for name, values in found.maps.items()},
    }


def _range(found: Explanation) -> tuple[float, float]:
    """The ends of the scale: all values but the outermost hundredth; signed ones have 0 in the middle."""
    values = np.concatenate([values[~np.isnan(values)] for values in found.maps.values()])
    if not len(values):
        return 0.0, 1.0
    high = max(float(np.quantile(np.abs(values), 0.99)), 1e-3)
    return (-high if found.signed else 0.0), high


def _picture(values: FloatImage, low: float, high: float) -> str:
    known = ~np.isnan(values)
    heat = colours((np.nan_to_num(values, nan=low) - low) / (high - low))
    return data_url(np.dstack([heat, (known * round(255 * OPAQUE)).astype(np.uint8)]))
