"""A radiograph through every stage of a bundle."""

from dataclasses import dataclass
from pathlib import Path

from boneage_roi.detection.runtime import Detector
from boneage_roi.errors import InputError
from boneage_roi.fusion.runtime import Fuser
from boneage_roi.imaging.frame import hand_frame
from boneage_roi.pipeline.bundle import Bundle
from boneage_roi.regional_models.runtime import RegionReader
from boneage_roi.regions import DETECTED_REGIONS, GROWTH_PLATES, Region
from boneage_roi.segmentation.runtime import Segmenter
from boneage_roi.values import BoneAge, HandFrame, HandMask, Radiograph, RegionBox, Sex

SURE_LANDMARKS = 0.5
"""Below this confidence of wrist or middle knuckle the hand may be cut wrongly."""
FEWEST_DIGITS = 4
FEWEST_GROWTH_PLATES = 14


@dataclass(frozen=True, eq=False)
class Analysis:
    """Where the hand and its regions are in a radiograph: what a prediction and an overlay share."""

    radiograph: Radiograph
    mask: HandMask
    frame: HandFrame
    boxes: tuple[RegionBox, ...]

    def flags(self) -> tuple[str, ...]:
        """What a reader should know before trusting the reading."""
        found = {region: sum(box.region == region for box in self.boxes) for region in DETECTED_REGIONS}
        digits, plates = found[Region.PHALANX], found[Region.EPIPHYSIS]
        flags = [f"{region} not found" for region, count in found.items() if count == 0]
        if 0 < digits < FEWEST_DIGITS:
            flags.append(f"{digits} of {Region.PHALANX.max_crops} digits found")
        if 0 < plates < FEWEST_GROWTH_PLATES:
            flags.append(f"{plates} of {len(GROWTH_PLATES)} growth plates found")
        if self.mask.confidence < SURE_LANDMARKS:
            flags.append("hand landmarks uncertain")
        if self.frame.inverted:
            flags.append("inverted")
        return tuple(flags)


class Predictor:
    """Reads bone age with one bundle, whose networks it opens once.

    Args:
        bundle: a bundle, the path of one, or None for the one that comes with the package.
        tta: test-time augmentation: read every region mirrored as well, which is a little more accurate and slower.

    Raises:
        InputError: the bundle cannot be used.
    """

    def __init__(self, bundle: Bundle | str | Path | None = None, *, tta: bool = True) -> None:
        self.bundle = bundle if isinstance(bundle, Bundle) else Bundle.load(bundle)
        manifest, file = self.bundle.manifest, self.bundle.file
        self._segmenter = Segmenter(file("segmenter.onnx"))
        self._detector = Detector(file("detector.onnx"))
        self._readers = [
            RegionReader(file(f"regions/{region}.onnx"), region, size=spec.size, margin=spec.margin, tta=tta)
            for region, spec in manifest.regions.items()
        ]
        self._fuser = Fuser.open(self.bundle.path)

    def segment(self, radiograph: Radiograph) -> HandMask:
        """Where the hand is."""
        return self._segmenter(radiograph)

    def analyse(self, radiograph: Radiograph) -> Analysis:
        """Find the hand, cut it out upright, and find its regions.

        Raises:
            InputError: no hand in the radiograph.
        """
        mask = self.segment(radiograph)
        if not mask.pixels.any():
            raise InputError(f"{radiograph.source}: no hand found; give a radiograph of one hand")
        frame = hand_frame(radiograph, mask, self.bundle.manifest.frame_size)
        return Analysis(radiograph, mask, frame, tuple(self._detector(frame)))

    def read(self, analysis: Analysis, sex: Sex | None = None) -> BoneAge:
        """Read the bone age of a hand whose regions are known.

        Args:
            analysis: from :meth:`analyse`.
            sex: the patient's sex; None takes the radiograph's own.

        Raises:
            InputError: nobody said the sex.
        """
        sex = sex or analysis.radiograph.sex
        if sex is None:
            raise InputError(
                f"{analysis.radiograph.source}: sex is unknown; pass --sex, or a manifest with a sex column"
            )
        attempts = (reader(analysis.frame, list(analysis.boxes), sex) for reader in self._readers)
        readings = tuple(reading for reading in attempts if reading is not None)
        months, lower, upper = self._fuser(readings, sex)
        return BoneAge(months, lower, upper, sex, readings, self.bundle.manifest.name, analysis.flags())

    def predict(self, radiograph: Radiograph, sex: Sex | None = None) -> BoneAge:
        """Read the bone age of a radiograph.

        Args:
            radiograph: from :func:`boneage_roi.imaging.reading.read_radiograph`.
            sex: the patient's sex; None takes the radiograph's own.

        Raises:
            InputError: nobody said the sex, or there is no hand in the radiograph.
        """
        return self.read(self.analyse(radiograph), sex)
