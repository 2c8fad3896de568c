"""A reading in the form that a client asks for."""

import io
from collections.abc import Callable
from uuid import uuid4

from fastapi import Response
from fastapi.responses import JSONResponse

from boneage_roi.pipeline.batch import Outcome
from boneage_roi.pipeline.reader import BoneAgeReader
from boneage_roi.service.body import Submission
from boneage_roi.service.guards import REPORT_POLICY
from boneage_roi.service.options import Options
from boneage_roi.service.problems import Problem
from boneage_roi.service.record import reading_json

Answer = Callable[[BoneAgeReader, Submission, Outcome, Options], Response]


def _json(reader: BoneAgeReader, submission: Submission, outcome: Outcome, options: Options) -> Response:
    return JSONResponse(reading_json(reader, outcome, options))


def _html(reader: BoneAgeReader, submission: Submission, outcome: Outcome, options: Options) -> Response:
    from boneage_roi.outputs.report import study_of
    from boneage_roi.outputs.report.content import page_of
    from boneage_roi.outputs.report.html import html_page
    from boneage_roi.outputs.report.words import Words

    words = Words(options.language)
    study = study_of(outcome, reader.bundle)
    assert study is not None  # the outcome has a bone age
    content = html_page(page_of(study, reader.bundle, words))
    return Response(content, media_type="text/html", headers={"Content-Security-Policy": REPORT_POLICY})


def _pdf(reader: BoneAgeReader, submission: Submission, outcome: Outcome, options: Options) -> Response:
    from boneage_roi.outputs.extras import require
    from boneage_roi.outputs.report import study_of
    from boneage_roi.outputs.report.content import page_of
    from boneage_roi.outputs.report.words import Words

    require("report", "a PDF report", "reportlab")
    from boneage_roi.outputs.report.pdf import pdf_page

    words = Words(options.language)
    study = study_of(outcome, reader.bundle)
    assert study is not None
    return Response(pdf_page(page_of(study, reader.bundle, words)), media_type="application/pdf")


def _fhir(reader: BoneAgeReader, submission: Submission, outcome: Outcome, options: Options) -> Response:
    from boneage_roi.outputs.extras import require
    from boneage_roi.outputs.fhir import fhir_bundle

    require("fhir", "FHIR output", "fhir")
    resources = fhir_bundle(outcome, reader.bundle, io.BytesIO(submission.data))
    return JSONResponse(resources, media_type="application/fhir+json")


def _report(reader: BoneAgeReader, submission: Submission, outcome: Outcome, options: Options) -> Response:
    """The structured report alone."""
    return Response(_dicom(reader, submission, outcome)[0], media_type="application/dicom")


def _objects(reader: BoneAgeReader, submission: Submission, outcome: Outcome, options: Options) -> Response:
    """The structured report and the Secondary Capture, as DICOMweb sends several objects (PS3.18, section 8.6.1.2)."""
    boundary = uuid4().hex
    parts = [
        f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode() + content + b"\r\n"
        for content in _dicom(reader, submission, outcome)
    ]
    kind = f'multipart/related; type="application/dicom"; boundary={boundary}'
    return Response(b"".join(parts) + f"--{boundary}--\r\n".encode(), headers={"Content-Type": kind})


def _dicom(reader: BoneAgeReader, submission: Submission, outcome: Outcome) -> list[bytes]:
    from boneage_roi.outputs.dicom import dicom_objects
    from boneage_roi.outputs.extras import require

    require("dicom", "DICOM output", "highdicom")
    made = dicom_objects(outcome, reader.bundle, io.BytesIO(submission.data))
    if made is None:
        raise Problem(422, "the image is no DICOM file of a study: there is none to put a report in", "input")
    contents = []
    for dataset in made:
        file = io.BytesIO()
        dataset.save_as(file, enforce_file_format=True)
        contents.append(file.getvalue())
    return contents


ANSWERS: dict[str, Answer] = {
    "application/json": _json,
    "text/html": _html,
    "application/pdf": _pdf,
    "application/fhir+json": _fhir,
    "application/dicom": _report,
    "multipart/related": _objects,
}
"""From a media type to what makes the answer of a reading; the first is for who does not care."""
