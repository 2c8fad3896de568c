"""What a request may say of a radiograph beside its bytes: the fields of a form or a query."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from boneage_roi.ages import checked_height, parse_age, parse_date
from boneage_roi.detection.naming import name_boxes
from boneage_roi.errors import InputError
from boneage_roi.regions import REGIONS
from boneage_roi.values import RegionBox, Sex, parse_sex

FIELDS = {
    "sex": "M, F, male or female; without it the file's own, else both are read",
    "chronological_age": "10y4m, 10.3y, 124m or 124 (months)",
    "birth_date": "2014-03-09 or 20140309; with the file's or the given study_date it gives the age",
    "study_date": "day of the radiograph, 2014-03-09 or 20140309",
    "height_cm": "present height, for adult height",
    "turn": "0, 90, 180 or 270: turn the image so many degrees clockwise before it is read",
    "native_size": "WIDTHxHEIGHT in pixels before the image was squashed",
    "boxes": 'JSON: [{"region": "carpal", "box": [xmin, ymin, xmax, ymax]}, ...] in pixels of the hand frame',
    "include": "what JSON holds beside the record: any of geometry, distributions, pictures, with commas between",
    "language": "of a report: en, de, zh, ko or es",
    "method": "of an explanation: occlusion, attention, age-map, class-activation or parts",
}
"""Every field and what it holds."""

INCLUDED = ("geometry", "distributions", "pictures")

_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})", re.ASCII)
_MOST_BOXES = sum(region.max_crops for region in REGIONS.values())


@dataclass(frozen=True)
class Options:
    """What a request says of a radiograph.

    Attributes:
        sex: None when it does not say.
        chronological_age: months.
        birth_date, study_date: give the age where it is not given.
        height_cm: present height.
        quarters: how often to turn the image by 90 degrees clockwise.
        native_size: (width, height) in pixels before the image was squashed.
        boxes: regions drawn by hand, in frame pixels; None leaves those that are found.
        include: of ``INCLUDED``.
        language: of a report.
        method: of an explanation.
    """

    sex: Sex | None = None
    chronological_age: float | None = None
    birth_date: date | None = None
    study_date: date | None = None
    height_cm: float | None = None
    quarters: int = 0
    native_size: tuple[int, int] | None = None
    boxes: tuple[RegionBox, ...] | None = None
    include: frozenset[str] = frozenset()
    language: str = "en"
    method: str = "occlusion"


def parse_options(fields: Mapping[str, str]) -> Options:
    """Options of the fields that a request brought.

    Raises:
        InputError: an unknown field, or one that holds something else than :data:`FIELDS` says.

    >>> parse_options({"sex": "f", "chronological_age": "10y4m"}).chronological_age
    124.0
    """
    if "birth_date" in fields and "chronological_age" in fields:
        raise InputError("give chronological_age or birth_date, not both")
    unknown = sorted(fields.keys() - FIELDS.keys())
    if unknown:
        raise InputError(f"unknown field {unknown[0][:40]!r}; known are {', '.join(FIELDS)}")
    include = {part.strip() for part in fields.get("include", "").split(",") if part.strip()}
    if strange := sorted(include - set(INCLUDED)):
        raise InputError(f"include: unknown {strange[0][:40]!r}; known are {', '.join(INCLUDED)}")
    turn = fields.get("turn", "0").strip()
    if turn not in ("0", "90", "180", "270"):
        raise InputError("turn: write 0, 90, 180 or 270")
    return Options(
        sex=parse_sex(_short(fields, "sex")),
        chronological_age=parse_age(fields["chronological_age"]) if "chronological_age" in fields else None,
        birth_date=_date(fields, "birth_date"),
        study_date=_date(fields, "study_date"),
        height_cm=_height(fields),
        quarters=int(turn) // 90,
        native_size=_size(fields),
        boxes=_boxes(fields["boxes"]) if "boxes" in fields else None,
        include=frozenset(include),
        language=(_short(fields, "language") or "en").strip().lower(),
        method=(_short(fields, "method") or "occlusion").strip().lower(),
    )


def _short(fields: Mapping[str, str], name: str) -> str | None:
    value = fields.get(name)
    return value if value is None else value[:40]


def _date(fields: Mapping[str, str], name: str) -> date | None:
    return parse_date(fields[name]) if name in fields else None


def _height(fields: Mapping[str, str]) -> float | None:
    if (text := _short(fields, "height_cm")) is None:
        return None
    try:
        return checked_height(float(text.replace(",", ".")))
    except ValueError:  # InputError is one
        raise InputError(f"height_cm {text!r}: write centimetres from 30 to 250") from None


def _size(fields: Mapping[str, str]) -> tuple[int, int] | None:
    if (text := _short(fields, "native_size")) is None:
        return None
    match = _SIZE.fullmatch(text.strip())
    if not match or not (int(match[1]) and int(match[2])):
        raise InputError(f"native_size {text!r}: write WIDTHxHEIGHT in pixels, such as 1514x2044")
    return int(match[1]), int(match[2])


def _boxes(text: str) -> tuple[RegionBox, ...]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise InputError("boxes: not JSON") from None
    if not isinstance(content, list) or len(content) > _MOST_BOXES:
        raise InputError(f"boxes: give a list of up to {_MOST_BOXES} boxes")
    boxes = tuple(_box(entry) for entry in content)
    for name, region in REGIONS.items():
        if sum(box.region == name for box in boxes) > (0 if region.whole else region.max_crops):
            most = "none" if region.whole else f"up to {region.max_crops}"
            raise InputError(f"boxes: {most} of {name}")
    return name_boxes(boxes)


def _box(entry: Any) -> RegionBox:
    form = 'write {"region": "carpal", "box": [xmin, ymin, xmax, ymax]}'
    if not isinstance(entry, dict) or entry.get("region") not in REGIONS or not isinstance(entry.get("box"), list):
        raise InputError(f"boxes: {form}; regions are {', '.join(REGIONS)}")
    corners = entry["box"]
    numbers = [float(value) for value in corners if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(corners) != 4 or len(numbers) != 4 or not all(-1e4 < value < 1e4 for value in numbers):
        raise InputError(f"boxes: {form}, in pixels of the hand frame")
    left, top, right, bottom = numbers
    confidence = entry.get("confidence", 1.0)
    if not isinstance(confidence, int | float) or not 0 <= confidence <= 1:
        raise InputError("boxes: a confidence goes from 0 to 1")
    if right - left < 4 or bottom - top < 4:
        raise InputError("boxes: a box needs at least 4 pixels a side")
    return RegionBox(entry["region"], (left, top, right, bottom), float(confidence))
