"""One upload through the reader: with the turn, the size and the boxes that a person corrected."""

from dataclasses import replace

import numpy as np

from boneage_roi.errors import RejectedError
from boneage_roi.imaging.reading import read_radiograph
from boneage_roi.pipeline.batch import Outcome
from boneage_roi.pipeline.item import Item
from boneage_roi.pipeline.reader import BoneAgeReader
from boneage_roi.service.body import Submission
from boneage_roi.service.options import Options
from boneage_roi.service.problems import problem_of
from boneage_roi.values import Analysis, Radiograph

UPLOAD = Item("upload")
"""What an outcome calls its input: the name of a file may tell whose hand it is."""


def open_radiograph(submission: Submission, options: Options) -> Radiograph:
    """The radiograph of an upload, turned and stretched as the options say.

    Raises:
        InputError: as :func:`boneage_roi.imaging.reading.read_radiograph`.
    """
    return read_radiograph(
        _turned(read_radiograph(submission.data), options.quarters) if options.quarters else submission.data,
        sex=options.sex,
        chronological_age=options.chronological_age,
        birth_date=options.birth_date,
        study_date=options.study_date,
        height_cm=options.height_cm,
        native_size=options.native_size,
    )


def _turned(radiograph: Radiograph, quarters: int) -> Radiograph:
    """Clockwise by so many quarters."""
    spacing = radiograph.pixel_spacing
    if spacing is not None and quarters % 2:
        spacing = (spacing[1], spacing[0])
    return replace(
        radiograph, pixels=np.ascontiguousarray(np.rot90(radiograph.pixels, -quarters)), pixel_spacing=spacing
    )


def analyse(reader: BoneAgeReader, submission: Submission, options: Options) -> Analysis:
    """Find the hand and its regions; boxes that were drawn by hand take the place of those that are found.

    Raises:
        InputError: the upload cannot be read.
        RejectedError: no hand was found.
    """
    analysis = reader.analyse(open_radiograph(submission, options))
    return analysis if options.boxes is None else reader.with_boxes(analysis, options.boxes)


def read(reader: BoneAgeReader, submission: Submission, options: Options) -> Outcome:
    """Read the bone age of an upload.

    Raises:
        InputError: as :func:`analyse`. A hand that must not get a bone age is an outcome that is rejected.
    """
    analysis = analyse(reader, submission, options)
    try:
        return Outcome(UPLOAD, analysis, reader.read(analysis))
    except RejectedError as error:
        return Outcome(UPLOAD, analysis, message=problem_of(error).detail, rejected=error.reasons)
