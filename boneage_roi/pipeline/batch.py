"""Many inputs through a bundle: one outcome an input, in order, whatever happens to one of them. Writes nothing."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np

from boneage_roi.errors import InputError, RejectedError
from boneage_roi.imaging.reading import read_radiograph
from boneage_roi.pipeline.item import Item
from boneage_roi.pipeline.reader import BoneAgeReader
from boneage_roi.pipeline.storage import read_place
from boneage_roi.values import Analysis, BoneAge, Radiograph


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of one input.

    Attributes:
        item: the input.
        analysis: where hand and regions are; None when the image could not be read or shows no hand.
        bone_age: None when there is none, and where none was asked for.
        message: the one line that says why what was asked for is missing; empty when it is there.
        rejected: for what reasons an image that could be read got no bone age.
        key: what its row rests on, see :func:`boneage_roi.pipeline.keys.row_key`; empty when nobody asked.
        record: its row as it was made before, see :func:`boneage_roi.outputs.records.result_record`.
    """

    item: Item
    analysis: Analysis | None = None
    bone_age: BoneAge | None = None
    message: str = ""
    rejected: tuple[str, ...] = ()
    key: str = ""
    record: Mapping[str, Any] | None = field(default=None, repr=False)

    @property
    def status(self) -> str:
        """``ok``, ``rejected`` or ``error``."""
        return "rejected" if self.rejected else "error" if self.message else "ok"


def predict_files(reader: BoneAgeReader, items: Iterable[Item]) -> Iterator[Outcome]:
    """Read bone ages.

    Args:
        reader: an open bundle.
        items: from :func:`boneage_roi.pipeline.inputs.list_inputs`; :func:`boneage_roi.pipeline.item.filler` adds
            what their manifests do not say.

    Yields:
        One outcome an item, in order; each is made when it is asked for.
    """

    def read(start: Outcome, analysis: Analysis) -> Outcome:
        age = reader.read(analysis)
        if not all(map(math.isfinite, (age.months, age.lower, age.upper))):
            raise InputError(f"{start.item.path}: the bone age is not finite; the bundle is damaged, export it again")
        return replace(start, bone_age=age)

    def work(item: Item, start: Outcome) -> Outcome:
        analysis = reader.analyse(_read(item))
        return _attempt(replace(start, analysis=analysis), lambda found: read(found, analysis))

    return (_outcome(item, work) for item in items)


def without_pixels(outcome: Outcome) -> Outcome:
    """An outcome without images, masks, features and the bones' distributions: light, and all that a row is made of."""
    found, age = outcome.analysis, outcome.bone_age
    if found is None:
        return outcome
    if age is not None:
        readings = tuple(replace(one, features=np.empty(0, np.float32)) for one in age.readings)
        bones = tuple(replace(one, distribution=None) for one in age.bones)
        outcome = replace(outcome, bone_age=replace(age, readings=readings, bones=bones))
    light = replace(
        found,
        radiograph=replace(found.radiograph, pixels=np.empty((0, 0), np.float32)),
        mask=replace(found.mask, pixels=np.empty((0, 0), np.bool_)),
        frame=replace(found.frame, pixels=np.empty((0, 0), np.uint8)),
    )
    return replace(outcome, analysis=light)


def analyse_files(reader: BoneAgeReader, items: Iterable[Item]) -> Iterator[Outcome]:
    """Find hands and their regions; no bone age is read.

    Yields:
        One outcome an item, in order; each is made when it is asked for.
    """

    def work(item: Item, start: Outcome) -> Outcome:
        return replace(start, analysis=reader.analyse(_read(item)))

    return (_outcome(item, work) for item in items)


def _outcome(item: Item, work: Callable[[Item, Outcome], Outcome]) -> Outcome:
    start = Outcome(item)
    if item.error:
        return replace(start, message=item.error)
    return _attempt(start, lambda begun: work(item, begun))


def _attempt(start: Outcome, work: Callable[[Outcome], Outcome]) -> Outcome:
    """What ``work`` makes of an outcome; when it fails, what there was and why."""
    try:
        return work(start)
    except RejectedError as error:
        return replace(start, message=_one_line(str(error)), rejected=error.reasons)
    except InputError as error:
        return replace(start, message=_one_line(str(error)))
    except cv2.error as error:  # its text is many lines of file names and C++
        said = f"OpenCV fails in {error.func}" if error.func else "OpenCV fails"
        return replace(start, message=_one_line(f"{start.item.path}: {said}; export the radiograph again"))
    except Exception as error:  # one broken image must not end the batch
        return replace(start, message=_one_line(f"{start.item.path}: {type(error).__name__}: {error}"))


def _read(item: Item) -> Radiograph:
    return read_radiograph(
        item.path if item.place is None else read_place(item.place),
        sex=item.sex,
        chronological_age=item.chronological_age,
        native_size=item.native_size,
        birth_date=item.birth_date,
        study_date=item.study_date,
        height_cm=item.height_cm,
        patient=item.patient,
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())
