"""A radiograph through every stage of a bundle."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from boneage_roi.aspect.runtime import AspectMeter
from boneage_roi.detection.finders import open_finder
from boneage_roi.detection.naming import name_boxes
from boneage_roi.errors import InputError, RejectedError
from boneage_roi.fusion.maturity import MATURITY_FILE, Maturity
from boneage_roi.fusion.runtime import Fuser
from boneage_roi.imaging.frame import hand_frame
from boneage_roi.imaging.reading import Source, read_radiograph, undo_squash
from boneage_roi.imaging.steps import apply_steps
from boneage_roi.onnx_session import Execution
from boneage_roi.pipeline.bundle import Bundle
from boneage_roi.quality.gate import Gate, Verdict
from boneage_roi.quality.measures import disagreement, measure, parts
from boneage_roi.regional_models.bones import BONES_FILE, bones_between, read_bones, read_scales
from boneage_roi.regional_models.crops import Crops, View
from boneage_roi.regional_models.runtime import RegionReader
from boneage_roi.segmentation.runtime import Segmenter
from boneage_roi.values import (
    Analysis,
    BoneAge,
    HandFrame,
    HandMask,
    Radiograph,
    RegionBox,
    RegionReading,
    Sex,
    parse_sex,
)

ASPECTS = ("auto", "as-is")

MOST_YEARS, SCHOOL_AGE = 20, 36
"""An age of so few months, beside a bone age that is surely above so many, was meant in years."""


def load(
    bundle: Bundle | str | Path | None = None,
    *,
    tta: bool = True,
    aspect: str = "auto",
    threads: int | None = None,
    provider: str = "cpu",
) -> "BoneAgeReader":
    """Open a bundle: its networks are read once, and then serve any number of radiographs.

    Args:
        bundle: a bundle or its folder; None is the shipped one.
        tta: test-time augmentation: read every region in all views of the bundle, which is a little more accurate and
            slower.
        aspect: ``auto`` restores the aspect of a hand that looks squashed, unless a native size or a pixel spacing says
            what it is; ``as-is`` believes every image. A bundle without a network for it believes them too.
        threads: how many a network may use; None is one a core.
        provider: what ONNX Runtime runs the networks on: ``cpu``, ``cuda``, ``openvino``, ``coreml`` and others, see
            :data:`boneage_roi.onnx_session.PROVIDERS`. When it does not start the CPU takes its place, and a line of
            the log says so; the reader's ``provider`` is what they run on. The fusion stays on the CPU.

    Raises:
        InputError: the bundle cannot be used, the aspect is neither, or this ONNX Runtime has no such provider.

    >>> load(tta=False).regions
    ('hand', 'radius-ulna', 'carpal', 'metacarpal', 'phalanx', 'epiphysis')
    """
    return BoneAgeReader(bundle, tta=tta, aspect=aspect, threads=threads, provider=provider)


class BoneAgeReader:
    """Reads bone age with one bundle, whose networks it opens once; see :func:`load`.

    Attributes:
        bundle: what it reads with.
        regions: the regions that it reads, in order.
        readers: the network of each, by its name.
    """

    def __init__(
        self,
        bundle: Bundle | str | Path | None = None,
        *,
        tta: bool = True,
        aspect: str = "auto",
        threads: int | None = None,
        provider: str = "cpu",
    ) -> None:
        execution = Execution(threads, provider)
        if aspect not in ASPECTS:
            raise InputError(f"aspect {aspect!r} is unknown; known are {', '.join(ASPECTS)}")
        self.bundle = bundle if isinstance(bundle, Bundle) else Bundle.load(bundle)
        manifest, file = self.bundle.manifest, self.bundle.file
        self.regions = manifest.regions
        self.views = manifest.views if tta else manifest.views[:1]
        self._segmenter = Segmenter(file(manifest.segmenter.file), execution)
        self._meter = None
        if manifest.aspect is not None and aspect == "auto":
            self._meter = AspectMeter(file(manifest.aspect.file), manifest.aspect.limit, execution)
        network = None if manifest.finder.file is None else file(manifest.finder.file)
        self._finder = open_finder(manifest.finder.kind, network, manifest.finder.regions, execution)
        views = [View(view.mirrored, view.scale, view.degrees) for view in self.views]
        self.readers = {
            spec.region: RegionReader(
                file(spec.file),
                spec.region,
                size=spec.size,
                margin=spec.margin,
                views=views,
                grid=manifest.age_grid,
                execution=execution,
            )
            for spec in manifest.networks
        }
        self._fuser = Fuser.open(
            self.bundle.path, regions=self.regions, grid=manifest.age_grid, kind=manifest.fusion.kind
        )
        self._scales = read_scales(file(BONES_FILE)) if BONES_FILE in manifest.files else {}
        known = MATURITY_FILE in manifest.files
        self._maturity = Maturity.read(file(MATURITY_FILE)) if known else Maturity({})
        self._gate = Gate.read(file("quality.json"))
        if self._gate.weights.keys() != set(parts(self._finder.regions)):
            raise InputError(f"{file('quality.json')}: made for other regions; export the bundle again")

    @property
    def provider(self) -> str:
        """What the networks run on: what was asked for, or ``cpu`` where that did not start.

        >>> load(tta=False).provider
        'cpu'
        """
        return next(iter(self.readers.values())).provider

    def __repr__(self) -> str:
        return f"<BoneAgeReader {self.bundle.manifest.name}: {', '.join(self.regions)}>"

    def segment(self, source: Source) -> HandMask:
        """Where the hand is in a radiograph."""
        return self._segmenter(read_radiograph(source))

    def analyse(self, source: Source) -> Analysis:
        """Find the hand, cut it out upright, and find its regions.

        Args:
            source: as in :meth:`predict`.

        Raises:
            InputError: it cannot be read.
            RejectedError: nothing in the radiograph looks like a hand.
        """
        radiograph = read_radiograph(source)
        frame, mask = self._framed(radiograph)
        wide = 1.0
        if self._meter is not None and not radiograph.aspect_known:
            wide = self._meter.squash(frame, mask)
        if self._meter is not None and wide != 1:
            # What is left is measured again: the network is most exact where little is wrong.
            wide *= self._meter(*self._framed(undo_squash(radiograph, wide)))
            radiograph = undo_squash(radiograph, wide)
            frame, mask = self._framed(radiograph)
        frame = apply_steps(frame, mask, self.bundle.manifest.steps)
        return self.with_boxes(Analysis(radiograph, mask, frame, (), wide), name_boxes(self._finder(frame)))

    def with_boxes(self, analysis: Analysis, boxes: tuple[RegionBox, ...]) -> Analysis:
        """An analysis with these boxes in place of its own, and measured with them."""
        found = replace(analysis, boxes=boxes)
        return replace(found, measures=measure(found, self._finder.regions))

    def _framed(self, radiograph: Radiograph) -> tuple[HandFrame, HandMask]:
        mask = self._segmenter(radiograph)
        if not mask.pixels.any():
            raise RejectedError(radiograph.source, ("no hand found",))
        return hand_frame(radiograph, mask, self.bundle.manifest.frame_size), mask

    def assess(self, analysis: Analysis) -> Verdict:
        """Whether a bone age may rest on an analysis, and what to look at when it does."""
        verdict = self._gate.judge(analysis.measures or measure(analysis, self._finder.regions))
        found = {box.region for box in analysis.boxes}
        absent = [f"{region} not found" for region in self._finder.regions if region not in found]
        inverted = ["inverted"] if analysis.frame.inverted else []
        return replace(verdict, warnings=(*absent, *verdict.warnings, *inverted, *_squashed(analysis.wide)))

    def predict(
        self,
        source: Source,
        *,
        sex: str | None = None,
        chronological_age: float | None = None,
        native_size: tuple[int, int] | None = None,
    ) -> BoneAge:
        """Read the bone age of a radiograph.

        Args:
            source: a path, the bytes of a file, an open binary file, an array (H, W) or (H, W, 3), or a Radiograph.
            sex: ``M``, ``F``, ``male`` or ``female`` in any case; None takes what the file says, and where it says
                nothing, both are read.
            chronological_age: months; None takes what the file says.
            native_size: (width, height) in pixels before the image was squashed, see
                :func:`boneage_roi.imaging.reading.read_radiograph`.

        Raises:
            InputError: the source cannot be read, or an argument is wrong.
            RejectedError: the image is no child's hand, or shows too little of it or too badly.

        >>> age = load().predict("examples/girl-10y.png", sex="female")
        >>> 108 < age.months < 132
        True
        """
        radiograph = read_radiograph(source, sex=sex, chronological_age=chronological_age, native_size=native_size)
        return self.read(self.analyse(radiograph))

    def crops(self, source: Source | Analysis) -> dict[str, Crops]:
        """What each region's network sees: ``pixels`` uint8 (C, h, w), by the region's name; absent ones are missing.

        Args:
            source: as in :meth:`predict`, or an Analysis.

        >>> load().crops("examples/girl-10y.png")["phalanx"].pixels.shape
        (5, 112, 56)
        """
        analysis = source if isinstance(source, Analysis) else self.analyse(source)
        cuts = {name: reader.crops(analysis.frame, list(analysis.boxes)) for name, reader in self.readers.items()}
        return {name: crops for name, crops in cuts.items() if crops is not None}

    def read(self, analysis: Analysis, sex: str | None = None) -> BoneAge:
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
        known = parse_sex(sex) or analysis.radiograph.sex
        if known is not None:
            return self._read(analysis, known, verdict.warnings)
        girl, boy = (self._read(analysis, either, verdict.warnings) for either in ("F", "M"))
        return replace(
            girl,
            months=(girl.months + boy.months) / 2,
            lower=min(girl.lower, boy.lower),
            upper=max(girl.upper, boy.upper),
            sex=None,
            readings=tuple(_between(*pair) for pair in zip(girl.readings, boy.readings, strict=True)),
            bones=bones_between(girl.bones, boy.bones),
            flags=(f"sex unknown: {girl.months:.0f} months if female, {boy.months:.0f} if male", *girl.flags),
        )

    def readings(self, analysis: Analysis, sex: Sex) -> tuple[RegionReading, ...]:
        """What each region says, in the bundle's order; absent ones are missing."""
        attempts = (reader(analysis.frame, list(analysis.boxes), sex) for reader in self.readers.values())
        return tuple(reading for reading in attempts if reading is not None)

    def fuse(self, readings: Sequence[RegionReading], sex: Sex) -> tuple[float, float, float]:
        """The fused bone age and the ends of its interval, months."""
        return self._fuser(readings, sex)

    def weights(self, readings: Sequence[RegionReading], sex: Sex) -> dict[str, float]:
        """How much each region counts in the fused bone age, of 1 in all; empty where the fusion cannot tell."""
        return self._fuser.weights(readings, sex)

    def _read(self, analysis: Analysis, sex: Sex, warnings: tuple[str, ...]) -> BoneAge:
        radiograph: Radiograph = analysis.radiograph
        readings = self.readings(analysis, sex)
        if not readings:
            raise RejectedError(radiograph.source, ("none of the regions that the bundle reads was found",))
        months, lower, upper = self.fuse(readings, sex)
        late = self._gate.judge({"disagreement": disagreement(readings), "upper": upper})
        if late.rejections:
            raise RejectedError(radiograph.source, late.rejections)
        mature = self._maturity.flag(months, sex)
        flags = (*warnings, *late.warnings, *mature, *_in_years(radiograph.chronological_age, lower))
        name = self.bundle.manifest.name
        bones = read_bones(self.readers, self._scales, analysis.frame, analysis.boxes, sex, readings)
        return BoneAge(months, lower, upper, sex, readings, name, flags, radiograph.chronological_age, bones)


def _in_years(chronological_age: float | None, lower: float) -> tuple[str, ...]:
    """What to tell of an age in months that can only be meant in years: no infant's hand reads like that of a pupil."""
    if chronological_age is None or chronological_age > MOST_YEARS or lower < SCHOOL_AGE:
        return ()
    return (f"chronological age of {chronological_age:g} months: is it in years?",)


def _squashed(wide: float) -> tuple[str, ...]:
    """What to tell of a hand whose aspect was restored."""
    if wide == 1:
        return ()
    looks = f"{wide:.2f} times too wide" if wide > 1 else f"{1 / wide:.2f} times too high"
    return (f"looks {looks}: aspect ratio restored",)


def _between(girl: RegionReading, boy: RegionReading) -> RegionReading:
    """A region's reading when the sex is unknown: each is as likely."""
    return replace(
        girl,
        distribution=np.mean([girl.distribution, boy.distribution], axis=0, dtype=np.float32),
        features=np.mean([girl.features, boy.features], axis=0, dtype=np.float32),
    )
