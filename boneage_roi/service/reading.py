"""One upload through the reader: with the turn, the size and the boxes that a person corrected."""

from dataclasses import dataclass, replace

import numpy as np

from boneage_roi.errors import RejectedError
from boneage_roi.imaging.reading import read_radiograph
from boneage_roi.pipeline.reader import BoneAgeReader
from boneage_roi.service.body import Submission
from boneage_roi.service.options import Options
from boneage_roi.values import Analysis, BoneAge, Radiograph


@dataclass(frozen=True, eq=False)
class Result:
    """What became of an upload that shows a hand.

    Attributes:
        analysis: where hand and regions are.
        bone_age: None when it was rejected.
        rejection: why; None when there is a bone age.
    """

    analysis: Analysis
    bone_age: BoneAge | None = None
    rejection: RejectedError | None = None


def open_radiograph(submission: Submission, options: Options) -> Radiograph:
    """The radiograph of an upload, turned and stretched as the options say.

    Raises:
        InputError: as :func:`boneage_roi.imaging.reading.read_radiograph`.
    """
    given = {"sex": options.sex, "chronological_age": options.chronological_age, "native_size": options.native_size}
    if not options.quarters:
        return read_radiograph(submission.data, **given)  # type: ignore[arg-type]
    radiograph = read_radiograph(submission.data)
    pixels = np.ascontiguousarray(np.rot90(radiograph.pixels, -options.quarters))
    spacing = radiograph.pixel_spacing
    if spacing is not None and options.quarters % 2:
        spacing = (spacing[1], spacing[0])
    turned = replace(radiograph, pixels=pixels, pixel_spacing=spacing)
    return read_radiograph(turned, **given)  # type: ignore[arg-type]


def analyse(reader: BoneAgeReader, submission: Submission, options: Options) -> Analysis:
    """Find the hand and its regions; boxes that were drawn by hand take the place of those that are found.

    Raises:
        InputError: the upload cannot be read.
        RejectedError: no hand was found.
    """
    analysis = reader.analyse(open_radiograph(submission, options))
    return analysis if options.boxes is None else replace(analysis, boxes=options.boxes)


def read(reader: BoneAgeReader, submission: Submission, options: Options) -> Result:
    """Read the bone age of an upload.

    Raises:
        InputError: as :func:`analyse`. A hand that must not get a bone age is a result with a rejection.
    """
    analysis = analyse(reader, submission, options)
    try:
        return Result(analysis, reader.read(analysis))
    except RejectedError as error:
        return Result(analysis, rejection=error)
