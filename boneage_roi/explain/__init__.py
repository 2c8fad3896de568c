"""Why a bone age is what it is: one file a method, on the exported networks alone.

The room and the function have one name, so that ``boneage_roi.explain`` may be called whichever of the two it is.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from boneage_roi.errors import InputError, look_up
from boneage_roi.explain.age_map import age_map
from boneage_roi.explain.attention import attention
from boneage_roi.explain.class_activation import class_activation
from boneage_roi.explain.explanation import Explanation
from boneage_roi.explain.occlusion import occlusion
from boneage_roi.explain.parts import parts
from boneage_roi.imaging.reading import Source
from boneage_roi.pipeline.bundle import Bundle
from boneage_roi.pipeline.reader import BoneAgeReader
from boneage_roi.values import Analysis, BoneAge, Sex, parse_sex

Method = Callable[[BoneAgeReader, Analysis, BoneAge, Sex], Explanation]

METHODS: dict[str, Method] = {
    "occlusion": occlusion,
    "attention": attention,
    "age-map": age_map,
    "class-activation": class_activation,
    "parts": parts,
}
"""From a method's name to what explains one reading by it."""

__all__ = ["METHODS", "Explanation", "explain"]


def explain(
    source: Source | Analysis,
    method: str = "occlusion",
    *,
    sex: str | None = None,
    bundle: BoneAgeReader | Bundle | str | Path | None = None,
) -> Explanation:
    """Explain the bone age of a radiograph.

    Args:
        source: as in :meth:`boneage_roi.BoneAgeReader.predict`, or an Analysis of it.
        method: ``occlusion``, ``attention``, ``age-map``, ``class-activation`` or ``parts``.
        sex: ``M``, ``F``, ``male`` or ``female``; None takes what the file says.
        bundle: an open reader, a bundle or its folder; None is the shipped one.

    Raises:
        InputError: no such method, the sex is not known, or the bundle lacks what the method needs.
        RejectedError: the image gets no bone age.

    >>> why = explain("examples/girl-10y.png", "parts", sex="F")
    >>> set(why.table) == set(why.bone_age.regions)
    True
    """
    explained = look_up(METHODS, method, "method")
    reader = bundle if isinstance(bundle, BoneAgeReader) else BoneAgeReader(bundle)
    analysis = source if isinstance(source, Analysis) else reader.analyse(source)
    known = parse_sex(sex) or analysis.radiograph.sex
    if known is None:
        raise InputError(f"{analysis.radiograph.source}: an explanation is of one reading; give the sex, M or F")
    return explained(reader, analysis, reader.read(analysis, known), known)


class _Room(ModuleType):
    def __call__(self, *arguments: Any, **named: Any) -> Explanation:
        return explain(*arguments, **named)


sys.modules[__name__].__class__ = _Room
