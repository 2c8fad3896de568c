"""A reading in the form that a client asks for."""

from collections.abc import Callable

from fastapi import Response
from fastapi.responses import JSONResponse

from boneage_roi.pipeline.batch import Outcome
from boneage_roi.pipeline.reader import BoneAgeReader
from boneage_roi.service.body import Submission
from boneage_roi.service.options import Options
from boneage_roi.service.record import reading_json

Answer = Callable[[BoneAgeReader, Submission, Outcome, Options], Response]


def _json(reader: BoneAgeReader, submission: Submission, outcome: Outcome, options: Options) -> Response:
    return JSONResponse(reading_json(reader, outcome, options))


ANSWERS: dict[str, Answer] = {
    "application/json": _json,
}
"""From a media type to what makes the answer of a reading; the first is for who does not care."""
