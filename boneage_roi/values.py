"""What a radiograph becomes on its way to a bone age: one small frozen dataclass a step.

Points are (x, y) in pixels, x to the right, y down; the centre of the first pixel is (0, 0).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from boneage_roi.errors import InputError

Sex = Literal["M", "F"]
Laterality = Literal["L", "R"]
Point = tuple[float, float]
FloatImage = NDArray[np.float32]
BoolImage = NDArray[np.bool_]
FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class AgeGrid:
    """The ages that a distribution is over: ``bins`` of them, ``width`` months apart, from 0 on.

    >>> AgeGrid(77, 3.0).last
    228.0
    """

    bins: int = 240
    width: float = 1.0

    @property
    def months(self) -> FloatArray:
        """The age of each bin, float32 (bins,)."""
        return np.arange(self.bins, dtype=np.float32) * np.float32(self.width)

    @property
    def last(self) -> float:
        """The oldest age, months."""
        return (self.bins - 1) * self.width


MONTHLY = AgeGrid()
"""One bin a month, 0 to 239."""


_SEXES: dict[str, Sex] = {"m": "M", "male": "M", "f": "F", "female": "F"}


def parse_sex(text: str | None) -> Sex | None:
    """M, F, male or female in any case; None stays None.

    Raises:
        InputError: anything else.

    >>> parse_sex(" Female")
    'F'
    """
    if text is None:
        return None
    sex = _SEXES.get(text.strip().lower()) if isinstance(text, str) else None
    if sex is None:
        raise InputError(f"sex {text!r} is unknown; write M, F, male or female")
    return sex


def sex_in_words(sex: Sex | None) -> str:
    """``male``, ``female`` or ``sex unknown``."""
    return {"M": "male", "F": "female", None: "sex unknown"}[sex]


def years_and_months(months: float) -> str:
    """An age as people say it.

    >>> years_and_months(124.3)
    '10 y 4 m'
    """
    years, rest = divmod(round(months), 12)
    return f"{years} y {rest} m"


@dataclass(frozen=True, eq=False)
class Radiograph:
    """One radiograph and what its file told.

    Attributes:
        pixels: float32 (H, W), 0..1, as displayed (MONOCHROME1 already turned).
        source: the path it came from, for messages.
        sex: "M", "F" or None when nobody said.
        chronological_age: months, or None.
        laterality: "L", "R" or None.
        pixel_spacing: (row, column) millimetres, or None.
        birth_date: None when it is not known.
        study_date: None when it is not known.
        height_cm: standing height on the day of the study, or None.
        patient: what tells one child from another, such as a DICOM file's PatientID; None when nobody said. No message
            shows it.
        aspect_known: whether its aspect is right for sure, because a pixel spacing or a native size said so.
    """

    pixels: FloatImage
    source: str = "<array>"
    sex: Sex | None = None
    chronological_age: float | None = None
    laterality: Laterality | None = None
    pixel_spacing: tuple[float, float] | None = None
    birth_date: date | None = field(default=None, repr=False)
    study_date: date | None = None
    height_cm: float | None = None
    patient: str | None = field(default=None, repr=False)
    aspect_known: bool = False


@dataclass(frozen=True, eq=False)
class HandMask:
    """Where the hand is in a radiograph.

    Attributes:
        pixels: bool (H, W) of the radiograph: hand and forearm.
        wrist: the radiocarpal joint's middle, in radiograph pixels.
        middle_mcp: the middle finger's metacarpophalangeal joint, in radiograph pixels. The two give the hand's
            axis and scale.
        confidence: 0..1, the weaker of the two landmarks' peaks.
        second_part: what else looked like a hand: the next largest connected part's area, as a share of the hand's.
    """

    pixels: BoolImage
    wrist: Point
    middle_mcp: Point
    confidence: float
    second_part: float = 0.0


@dataclass(frozen=True, eq=False)
class HandFrame:
    """The hand cut out of its radiograph, upright, in a frame of fixed size.

    Attributes:
        pixels: uint8 (H, W), bones bright, contrast taken from the pixels of the hand.
        to_frame: float64 (2, 3), the affine map from radiograph to frame pixels.
        inverted: True when the radiograph was dark-on-bright and has been turned.
    """

    pixels: NDArray[np.uint8]
    to_frame: NDArray[np.float64]
    inverted: bool = False

    def to_radiograph(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map frame points (N, 2) back to radiograph pixels."""
        inverse = cv2.invertAffineTransform(self.to_frame)
        return np.asarray(points @ inverse[:, :2].T + inverse[:, 2])


Box = tuple[float, float, float, float]
"""xmin, ymin, xmax, ymax in pixels."""


@dataclass(frozen=True)
class RegionBox:
    """A region found in a hand frame, by its name: box (xmin, ymin, xmax, ymax) in frame pixels, confidence 0..1.

    ``name`` tells boxes of one region apart: the growth plate (``MCP1`` ... ``ulna``), or ``digit1`` (the thumb) to
    ``digit5``; None where it cannot be told or there is nothing to tell.
    """

    region: str
    box: Box
    confidence: float
    name: str | None = None


@dataclass(frozen=True, eq=False)
class Analysis:
    """Where the hand and its regions are in a radiograph: what a reading, an overlay and the quality gate rest on.

    Attributes:
        radiograph: with its aspect restored, where the hand looked squashed.
        wide: how many times too wide (below 1: too high) the hand looked before; 1 where nothing was restored.
        measures: what the quality gate judges it by, see :func:`boneage_roi.quality.measures.measure`.
    """

    radiograph: Radiograph
    mask: HandMask
    frame: HandFrame
    boxes: tuple[RegionBox, ...]
    wide: float = 1.0
    measures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class RegionReading:
    """What one region says.

    Attributes:
        region: its name.
        distribution: float32 (bins,), probability of each age of the grid; sums to 1.
        features: float32 (D,), the pooled feature vector.
        crops: how many crops it saw.
        confidence: mean detector confidence of those crops; 1 for the whole hand.
        grid: the ages that the distribution is over.
    """

    region: str
    distribution: FloatArray
    features: FloatArray
    crops: int
    confidence: float = 1.0
    grid: AgeGrid = MONTHLY

    @property
    def expected_age(self) -> float:
        """Mean of the distribution, months."""
        return float(self.distribution @ self.grid.months)

    @property
    def spread(self) -> float:
        """Standard deviation of the distribution, months."""
        return float(np.sqrt(max(float(self.distribution @ (self.grid.months - self.expected_age) ** 2), 0.0)))

    def __repr__(self) -> str:
        return f"<RegionReading {self.region}: {self.expected_age:.1f} months, spread {self.spread:.1f}>"


@dataclass(frozen=True, eq=False)
class BoneReading:
    """What one bone says when its crop is all that a region's network sees.

    Attributes:
        name: a growth plate (``MCP1`` ... ``ulna``), ``digit1`` (the thumb) to ``digit5``, or ``carpal``.
        box: where it is in the hand frame.
        months: its own age.
        spread: standard deviation of that age, months.
        far: True when its age lies far from those of the others, see :mod:`boneage_roi.regional_models.bones`.
        distribution: float32 (bins,), the probability of each age of the bundle's grid; None when nobody asked.
    """

    name: str
    box: RegionBox
    months: float
    spread: float
    far: bool = False
    distribution: FloatArray | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        far = ", far from the others" if self.far else ""
        return f"<BoneReading {self.name}: {self.months:.1f} months, spread {self.spread:.1f}{far}>"


@dataclass(frozen=True, eq=False)
class BoneAge:
    """One radiograph's bone age.

    Attributes:
        months: the fused bone age.
        lower, upper: the 90 % prediction interval, months.
        sex: the sex it was read for; None when nobody knew it and the age lies midway between those for both.
        readings: the regions that were found and read, in the bundle's order.
        bundle: name of the bundle that said so.
        flags: what a reader should know ("carpal not found", "inverted" ...).
        chronological_age: months, or None when nobody told it.
        bones: what every named bone says alone: growth plates, digits, the carpal block.
    """

    months: float
    lower: float
    upper: float
    sex: Sex | None
    readings: tuple[RegionReading, ...]
    bundle: str
    flags: tuple[str, ...] = field(default=())
    chronological_age: float | None = None
    bones: tuple[BoneReading, ...] = field(default=())

    @property
    def regions(self) -> dict[str, RegionReading]:
        """What each region says, by its name; a region that was not found is missing."""
        return {reading.region: reading for reading in self.readings}

    def region_age(self, region: str) -> float | None:
        """Expected age of one region in months, or None when it was not found."""
        reading = self.regions.get(region)
        return None if reading is None else reading.expected_age

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types: ages in months rounded to 0.01, ``regions`` and ``bones`` by name with age and spread."""
        return {
            "bone_age_months": round(self.months, 2),
            "lower": round(self.lower, 2),
            "upper": round(self.upper, 2),
            "sex": self.sex,
            "chronological_age_months": self.chronological_age,
            "regions": {
                name: {"age_months": round(reading.expected_age, 2), "spread_months": round(reading.spread, 2)}
                for name, reading in self.regions.items()
            },
            "bones": {
                bone.name: {
                    "age_months": round(bone.months, 2),
                    "spread_months": round(bone.spread, 2),
                    "far_from_the_others": bone.far,
                }
                for bone in self.bones
            },
            "flags": list(self.flags),
            "bundle": self.bundle,
        }

    def __repr__(self) -> str:
        known = sex_in_words(self.sex) + (f", {len(self.flags)} flags" if self.flags else "")
        return f"<BoneAge {self.months:.1f} months ({self.lower:.0f} to {self.upper:.0f}), {known}>"
