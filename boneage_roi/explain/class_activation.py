"""Class activation: where a network sees what speaks for the age that it says (Zhou et al., CVPR 2016; by gradient,
Selvaraju et al., ICCV 2017). For networks that give such a map out, TJ-Net's among them.
"""

import numpy as np

from boneage_roi.errors import InputError
from boneage_roi.explain.explanation import Explanation
from boneage_roi.explain.places import on_frame
from boneage_roi.pipeline.reader import BoneAgeReader
from boneage_roi.values import Analysis, BoneAge, FloatImage, Sex

OUTPUT = "class_activation"


def class_activation(reader: BoneAgeReader, analysis: Analysis, bone_age: BoneAge, sex: Sex) -> Explanation:
    """A map a region: how much each place speaks for the most probable age, 1 where most; NaN where it does not look.

    Raises:
        InputError: no network of the bundle gives such a map.
    """
    maps: dict[str, FloatImage] = {}
    for region, network in reader.readers.items():
        crops = network.crops(analysis.frame, list(analysis.boxes))
        if OUTPUT not in network.tensors or crops is None:
            continue
        (found,) = network.inside([crops], sex, [OUTPUT])
        laid = on_frame(network, analysis, found[0])
        maps[region] = np.asarray(laid / max(float(np.nanmax(laid)), 1e-9), np.float32)
    if not maps:
        name = reader.bundle.manifest.name
        raise InputError(f"no network of the bundle {name!r} gives class activations; explain by occlusion instead")
    return Explanation("class-activation", analysis, bone_age, maps, "share of the highest")
