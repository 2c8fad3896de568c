"""A radiograph through every stage of a bundle."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from boneage_roi.detection.runtime import Detector
from boneage_roi.errors import RejectedError
from boneage_roi.fusion.runtime import Fuser
from boneage_roi.imaging.frame import hand_frame
from boneage_roi.pipeline.bundle import Bundle
from boneage_roi.quality.gate import Gate, Verdict
from boneage_roi.quality.measures import disagreement, measure
from boneage_roi.regional_models.runtime import RegionReader
from boneage_roi.regions import DETECTED_REGIONS
from boneage_roi.segmentation.runtime import Segmenter
from boneage_roi.values import Analysis, BoneAge, HandMask, Radiograph, RegionReading, Sex


class Predictor:
    """Reads bone age with one bundle, whose networks it opens once.

    Args:
        bundle: a bundle, the path of one, or None for the one that comes with the package.
        tta: test-time augmentation: read every region in six views, which is a little more accurate and slower.

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
        self._gate = Gate.read(file("quality.json"))

    def segment(self, radiograph: Radiograph) -> HandMask:
        """Where the hand is."""
        return self._segmenter(radiograph)

    def analyse(self, radiograph: Radiograph) -> Analysis:
        """Find the hand, cut it out upright, and find its regions.

        Raises:
            RejectedError: nothing in the radiograph looks like a hand.
        """
        mask = self.segment(radiograph)
        if not mask.pixels.any():
            raise RejectedError(radiograph.source, ("no hand found",))
        frame = hand_frame(radiograph, mask, self.bundle.manifest.frame_size)
        return Analysis(radiograph, mask, frame, tuple(self._detector(frame)))

    def assess(self, analysis: Analysis) -> Verdict:
        """Whether a bone age may rest on an analysis, and what to look at when it does."""
        verdict = self._gate.judge(measure(analysis))
        found = {box.region for box in analysis.boxes}
        absent = [f"{region} not found" for region in DETECTED_REGIONS if region not in found]
        inverted = ["inverted"] if analysis.frame.inverted else []
        return replace(verdict, warnings=(*absent, *verdict.warnings, *inverted))

    def read(self, analysis: Analysis, sex: Sex | None = None) -> BoneAge:
        """Read the bone age of a hand whose regions are known.

        Without a sex both are read: the age lies midway between them, the interval covers both, a flag tells the two.

        Args:
            analysis: from :meth:`analyse`.
            sex: the patient's sex; None takes the radiograph's own.

        Raises:
            RejectedError: no bone age may rest on the analysis, see :meth:`assess`, or its regions say ages far apart.
        """
        verdict = self.assess(analysis)
        if verdict.rejections:
            raise RejectedError(analysis.radiograph.source, verdict.rejections)
        sex = sex or analysis.radiograph.sex
        if sex is not None:
            return self._read(analysis, sex, verdict.warnings)
        girl, boy = (self._read(analysis, known, verdict.warnings) for known in ("F", "M"))
        return BoneAge(
            months=(girl.months + boy.months) / 2,
            lower=min(girl.lower, boy.lower),
            upper=max(girl.upper, boy.upper),
            sex=None,
            readings=tuple(_between(*pair) for pair in zip(girl.readings, boy.readings, strict=True)),
            bundle=girl.bundle,
            flags=(f"sex unknown: {girl.months:.0f} months if female, {boy.months:.0f} if male", *girl.flags),
        )

    def _read(self, analysis: Analysis, sex: Sex, warnings: tuple[str, ...]) -> BoneAge:
        attempts = (reader(analysis.frame, list(analysis.boxes), sex) for reader in self._readers)
        readings = tuple(reading for reading in attempts if reading is not None)
        months, lower, upper = self._fuser(readings, sex)
        late = self._gate.judge({"disagreement": disagreement(readings), "upper": upper})
        if late.rejections:
            raise RejectedError(analysis.radiograph.source, late.rejections)
        return BoneAge(months, lower, upper, sex, readings, self.bundle.manifest.name, (*warnings, *late.warnings))

    def predict(self, radiograph: Radiograph, sex: Sex | None = None) -> BoneAge:
        """Read the bone age of a radiograph.

        Args:
            radiograph: from :func:`boneage_roi.imaging.reading.read_radiograph`.
            sex: the patient's sex; None takes the radiograph's own, and where it has none, both are read.

        Raises:
            RejectedError: the image is no child's hand, or shows too little of it or too badly.
        """
        return self.read(self.analyse(radiograph), sex)


def _between(girl: RegionReading, boy: RegionReading) -> RegionReading:
    """A region's reading when the sex is unknown: each is as likely."""
    return replace(
        girl,
        distribution=np.mean([girl.distribution, boy.distribution], axis=0, dtype=np.float32),
        features=np.mean([girl.features, boy.features], axis=0, dtype=np.float32),
    )
