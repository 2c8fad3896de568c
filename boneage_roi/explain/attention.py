"""Attention: where the convolutional block attention of a network looks (Woo et al., ECCV 2018).

The exported networks do not give these maps out, but hold them: they become outputs when the file is opened.
"""

import re

import numpy as np

from boneage_roi.errors import InputError
from boneage_roi.explain.explanation import Explanation
from boneage_roi.explain.places import on_frame
from boneage_roi.pipeline.reader import BoneAgeReader
from boneage_roi.regional_models.runtime import RegionReader
from boneage_roi.values import Analysis, BoneAge, FloatArray, FloatImage, Sex

WEIGHED = re.compile(r"attention\.\d+/attention/attention\.1/Mul_output_0$")
"""What is left of a layer's features after its channel and its spatial attention: what the layer adds to them."""


def attention(reader: BoneAgeReader, analysis: Analysis, bone_age: BoneAge, sex: Sex) -> Explanation:
    """A map a region: how much its attention layers add at each place, 1 where they add most; NaN where it does not
    look. A layer's share is the mean size of its attended features over the channels; layers count alike.

    Raises:
        InputError: no network of the bundle has attention layers.
    """
    maps = {
        region: found
        for region, network in reader.readers.items()
        if (found := _region_map(network, analysis, sex)) is not None
    }
    if not maps:
        name = reader.bundle.manifest.name
        raise InputError(f"no network of the bundle {name!r} has attention layers; explain by occlusion instead")
    return Explanation("attention", analysis, bone_age, maps, "share of the highest")


def _region_map(network: RegionReader, analysis: Analysis, sex: Sex) -> FloatImage | None:
    names = [name for name in network.tensors if WEIGHED.search(name)]
    crops = network.crops(analysis.frame, list(analysis.boxes))
    if not names or crops is None:
        return None
    layers = [_scaled(np.abs(tensor).mean(axis=1)) for tensor in network.inside([crops], sex, names)]
    laid = [on_frame(network, analysis, layer) for layer in layers]
    return _scaled(np.mean(laid, axis=0, dtype=np.float32))


def _scaled(values: FloatArray) -> FloatArray:
    """Values with the highest at 1."""
    return np.asarray(values / max(float(np.nanmax(values)), 1e-9), np.float32)
