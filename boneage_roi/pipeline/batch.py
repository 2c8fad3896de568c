"""Many inputs through a bundle: one outcome an input, in order, whatever happens to one of them."""

import csv
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import numpy as np

from boneage_roi.errors import InputError, RejectedError
from boneage_roi.imaging.reading import read_radiograph
from boneage_roi.outputs.overlay import draw_overlay, save_image
from boneage_roi.pipeline.inputs import Item
from boneage_roi.pipeline.reader import BoneAgeReader
from boneage_roi.regions import REGIONS, age_column
from boneage_roi.values import Analysis, BoneAge, HandMask, Radiograph, Sex

T = TypeVar("T")

RESULT_COLUMNS = (
    *("path", "status", "bone_age_months", "lower", "upper", "sex"),
    *(age_column(region) for region in REGIONS),
    *("quality", "flags", "message"),
)
CORNER_COLUMNS = ("path", "region", "confidence", "x1", "y1", "x2", "y2", "x3", "y3", "x4", "y4")


@dataclass(frozen=True, eq=False)
class Outcome(Generic[T]):
    """What became of one input: a value, or the one line that says why there is none.

    Attributes:
        rejected: for what reasons an image that could be read got no value.
    """

    item: Item
    value: T | None
    message: str = ""
    rejected: tuple[str, ...] = ()

    @property
    def status(self) -> str:
        """``ok``, ``rejected`` or ``error``."""
        return "ok" if self.value is not None else "rejected" if self.rejected else "error"


def predict_files(
    predictor: BoneAgeReader, items: Iterable[Item], *, sex: Sex | None = None, overlays: Path | None = None
) -> Iterator[Outcome[BoneAge]]:
    """Read bone ages.

    Args:
        predictor: an open bundle.
        items: from :func:`boneage_roi.pipeline.inputs.list_inputs`.
        sex: for images whose manifest says none; goes before what the file itself says.
        overlays: folder for a picture of each reading.
    """
    items = [item if item.sex else replace(item, sex=sex) for item in items]
    names = _file_names(items)

    def work(item: Item) -> BoneAge:
        analysis = predictor.analyse(_read(item))
        bone_age = predictor.read(analysis)
        if overlays:
            _write_overlay(overlays / names[item], analysis, bone_age)
        return bone_age

    return _each(items, work)


def detect_files(predictor: BoneAgeReader, items: Iterable[Item], overlays: Path) -> Iterator[Outcome[Analysis]]:
    """Find the regions of hands, and draw each into ``overlays``."""
    items = list(items)
    names = _file_names(items)

    def work(item: Item) -> Analysis:
        analysis = predictor.analyse(_read(item))
        _write_overlay(overlays / names[item], analysis)
        return analysis

    return _each(items, work)


def segment_files(predictor: BoneAgeReader, items: Iterable[Item], masks: Path) -> Iterator[Outcome[HandMask]]:
    """Find hands, and write each mask (255 on the hand) into ``masks``."""
    items = list(items)
    names = _file_names(items)

    def work(item: Item) -> HandMask:
        mask = predictor.segment(_read(item))
        save_image(masks / names[item], mask.pixels.astype(np.uint8) * 255)
        return mask

    return _each(items, work)


def result_row(outcome: Outcome[BoneAge]) -> dict[str, Any]:
    """An outcome as a row of :data:`RESULT_COLUMNS`; ages are months."""
    row: dict[str, Any] = dict.fromkeys(RESULT_COLUMNS, "")
    row |= {"path": outcome.item.path, "status": outcome.status, "sex": outcome.item.sex or ""}
    row |= {"message": outcome.message, "quality": _quality(outcome), "flags": "; ".join(outcome.rejected)}
    if (age := outcome.value) is not None:
        row |= {"sex": age.sex or "", "flags": "; ".join(age.flags)}
        row |= {"bone_age_months": round(age.months, 2), "lower": round(age.lower, 2), "upper": round(age.upper, 2)}
        row |= {age_column(r.region): round(r.expected_age, 2) for r in age.readings}
    return row


def result_json(outcome: Outcome[BoneAge]) -> dict[str, Any]:
    """An outcome for JSON; ages are months, a region that was not found is null."""
    age, start = outcome.value, {"path": outcome.item.path, "status": outcome.status, "quality": _quality(outcome)}
    if age is None:
        return start | {"flags": list(outcome.rejected), "message": outcome.message}
    ages = {region: age.region_age(region) for region in REGIONS}
    return start | {
        "bone_age_months": round(age.months, 2),
        "lower": round(age.lower, 2),
        "upper": round(age.upper, 2),
        "sex": age.sex,
        "regions": {str(region): None if value is None else round(value, 2) for region, value in ages.items()},
        "flags": list(age.flags),
        "bundle": age.bundle,
    }


def box_rows(outcome: Outcome[Analysis]) -> list[dict[str, Any]]:
    """The region boxes of a hand as rows of :data:`CORNER_COLUMNS`.

    A box is upright in the hand frame, hence turned in the radiograph: its four corners, in radiograph pixels, start at
    the frame's top left and go round clockwise.
    """
    if outcome.value is None:
        return []
    rows = []
    for box in outcome.value.boxes:
        x1, y1, x2, y2 = box.box
        corners = np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], np.float64)
        numbers = outcome.value.frame.to_radiograph(corners).round(1).ravel().tolist()
        values = (outcome.item.path, str(box.region), round(box.confidence, 3), *numbers)
        rows.append(dict(zip(CORNER_COLUMNS, values, strict=True)))
    return rows


class CsvWriter:
    """A CSV that grows row by row as ``NAME.partial`` and gets its name when it is complete."""

    def __init__(self, path: Path, columns: tuple[str, ...]) -> None:
        if path.is_dir():
            raise InputError(f"{path}: is a folder; give the name of a CSV file")
        self.path = path
        self.partial = path.with_name(path.name + ".partial")
        path.parent.mkdir(parents=True, exist_ok=True)
        # Names of files that are no text go through as the bytes they are.
        self._file = self.partial.open("w", newline="", encoding="utf-8", errors="surrogateescape")
        self._writer = csv.DictWriter(self._file, columns, lineterminator="\n")
        self._writer.writeheader()

    def write(self, rows: Iterable[dict[str, Any]]) -> None:
        """Add rows; they are on disk when this returns."""
        self._writer.writerows(rows)
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if kind is None:
            self.partial.replace(self.path)


def _quality(outcome: Outcome[BoneAge]) -> str:
    """``ok``, ``warning`` when there is something to look at, ``rejected``; nothing when the input was none."""
    if outcome.value is None:
        return "rejected" if outcome.rejected else ""
    return "warning" if outcome.value.flags else "ok"


def _each(items: Iterable[Item], work: Callable[[Item], T]) -> Iterator[Outcome[T]]:
    for item in items:
        if item.error:
            yield Outcome(item, None, item.error)
            continue
        try:
            yield Outcome(item, work(item))
        except RejectedError as error:
            yield Outcome(item, None, _one_line(str(error)), error.reasons)
        except InputError as error:
            yield Outcome(item, None, _one_line(str(error)))
        except Exception as error:  # one broken image must not end the batch
            yield Outcome(item, None, _one_line(f"{item.path}: {type(error).__name__}: {error}"))


def _read(item: Item) -> Radiograph:
    return read_radiograph(
        item.path, sex=item.sex, chronological_age=item.chronological_age, native_size=item.native_size
    )


def _file_names(items: Iterable[Item]) -> dict[Item, str]:
    """A PNG name for every image: its stem, numbered when images of several folders share one."""
    names: dict[Item, str] = {}
    taken: set[str] = set()
    for item in items:
        stem = Path(item.path).stem
        name, number = stem, 1
        while name in taken:
            number += 1
            name = f"{stem}-{number}"
        taken.add(name)
        names[item] = f"{name}.png"
    return names


def _write_overlay(path: Path, analysis: Analysis, bone_age: BoneAge | None = None) -> None:
    picture = draw_overlay(analysis.radiograph, analysis.frame, analysis.boxes, mask=analysis.mask, bone_age=bone_age)
    save_image(path, picture)


def _one_line(text: str) -> str:
    return " ".join(text.split())
