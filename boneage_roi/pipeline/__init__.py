"""Everything that runs a bundle; needs no torch."""

from boneage_roi.pipeline.bundle import Bundle
from boneage_roi.pipeline.reader import BoneAgeReader

__all__ = ["BoneAgeReader", "Bundle"]
