"""A finding as DICOM objects: a Comprehensive 3D SR and a Secondary Capture in the study of the radiograph."""

import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import cv2
import numpy as np

from boneage_roi import __version__
from boneage_roi.outputs.extras import require
from boneage_roi.outputs.files import OutputFiles
from boneage_roi.outputs.overlay import draw_overlay
from boneage_roi.outputs.pictures import picture_names
from boneage_roi.outputs.records import finding_fields, finding_of
from boneage_roi.pipeline.batch import Outcome
from boneage_roi.pipeline.bundle import Bundle
from boneage_roi.pipeline.item import Item

if TYPE_CHECKING:
    from pydicom import Dataset

    from boneage_roi.growth import Finding
    from boneage_roi.values import Analysis

SERIES_NUMBERS = {"SR": 8501, "SC": 8502}
"""High ones, so that they do not meet the modality's own."""

LONGEST_SIDE = 1600
"""Pixels; a larger overlay is made smaller."""


class DicomSink:
    """Two files an outcome that came from DICOM: ``STEM-sr.dcm`` and ``STEM-sc.dcm``.

    Args:
        folder: where they go.
        items: all inputs, in order.
        outputs: what may be written.
        bundle: what reads them.

    Attributes:
        skipped: inputs with a bone age that have no study to put a report in.
    """

    def __init__(self, folder: Path, items: Iterable[Item], outputs: OutputFiles, bundle: Bundle) -> None:
        stems = [name.removesuffix(".png") for name in picture_names(items)]
        self._paths = [(folder / f"{stem}-sr.dcm", folder / f"{stem}-sc.dcm") for stem in stems]
        self._outputs = outputs
        self._bundle = bundle
        self._done = 0
        self.skipped: list[str] = []

    def open(self) -> None:
        """Refuse places where something else lies, and a missing package."""
        require("dicom", "DICOM output", "highdicom")
        for path in (path for pair in self._paths for path in pair):
            self._outputs.claim(path)

    def write(self, outcome: Outcome) -> None:
        """Write the objects of a bone age."""
        paths = self._paths[self._done]
        self._done += 1
        if outcome.bone_age is None:
            return
        made = dicom_objects(outcome, self._bundle)
        if made is None:
            self.skipped.append(outcome.item.path)
            return
        for path, dataset in zip(paths, made, strict=True):
            file = io.BytesIO()
            dataset.save_as(file, enforce_file_format=True)
            self._outputs.write(path, file.getvalue())

    def close(self, complete: bool) -> None:
        """Every file is on the disk already."""


def dicom_objects(outcome: Outcome, bundle: Bundle, file: BinaryIO | None = None) -> "tuple[Dataset, Dataset] | None":
    """The structured report and the Secondary Capture of an outcome.

    Patient and study are the radiograph's, the series are new. The UIDs follow from the radiograph's, the bundle and
    the finding: the same finding always has the same.

    Args:
        file: the radiograph's file, where the outcome's input does not say where it is.

    Returns:
        Both as data sets that can be saved; None without a bone age, or when the input is no DICOM file with UIDs.
    """
    from boneage_roi.outputs.dicom_source import source_of

    finding, analysis = finding_of(outcome), outcome.analysis
    source = source_of(outcome, file)
    if finding is None or analysis is None or source is None:
        return None
    return _structured_report(finding, analysis, source, bundle), _secondary_capture(finding, analysis, source, bundle)


def _structured_report(finding: "Finding", analysis: "Analysis", source: "Dataset", bundle: Bundle) -> "Dataset":
    from highdicom.coding_schemes import CodingSchemeIdentificationItem
    from highdicom.sr import Comprehensive3DSR

    from boneage_roi.outputs.dicom_report import SCHEME, report_content

    schemes = [CodingSchemeIdentificationItem(SCHEME, name="boneage-roi", responsible_organization="boneage-roi")]
    return Comprehensive3DSR(
        evidence=[source],
        content=report_content(finding, analysis, source, bundle),
        is_complete=True,
        coding_schemes=schemes,
        series_description="Bone age, structured report (research use)",
        **_identity("SR", finding, source, bundle),
    )


def _secondary_capture(finding: "Finding", analysis: "Analysis", source: "Dataset", bundle: Bundle) -> "Dataset":
    from highdicom.sc import SCImage
    from pydicom import Dataset
    from pydicom.uid import ExplicitVRLittleEndian

    picture = draw_overlay(
        analysis.radiograph, analysis.frame, analysis.boxes, mask=analysis.mask, bone_age=finding.bone_age
    )
    scale = min(1.0, LONGEST_SIDE / max(picture.shape[:2]))
    smaller = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    image = SCImage.from_ref_dataset(
        source,
        pixel_array=np.ascontiguousarray(smaller[..., ::-1]),
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        laterality=finding.laterality,
        patient_orientation=("L", "F"),  # must be some; replaced below
        transfer_syntax_uid=ExplicitVRLittleEndian,
        series_description="Bone age, regions (research use)",
        **_identity("SC", finding, source, bundle),
    )
    image.PatientOrientation = source.get("PatientOrientation", "")
    reference = Dataset()
    reference.ReferencedSOPClassUID = source.SOPClassUID
    reference.ReferencedSOPInstanceUID = source.SOPInstanceUID
    image.SourceImageSequence = [reference]
    image.DerivationDescription = "Hand, regions and bone age drawn on the radiograph"
    image.ImageType = ["DERIVED", "SECONDARY"]
    image.BurnedInAnnotation = "NO"  # of the patient: it holds no name
    return image


def _identity(kind: str, finding: "Finding", source: "Dataset", bundle: Bundle) -> dict[str, Any]:
    """UIDs, numbers and maker of an object."""
    from boneage_roi.outputs.dicom_source import stable_uid

    content = json.dumps(finding_fields(finding))
    return {
        "series_instance_uid": stable_uid(kind, "series", source.SeriesInstanceUID, bundle.fingerprint, __version__),
        "series_number": SERIES_NUMBERS[kind],
        "sop_instance_uid": stable_uid(kind, source.SOPInstanceUID, bundle.fingerprint, __version__, content),
        "instance_number": 1,
        "manufacturer": "boneage-roi",
        "manufacturer_model_name": f"boneage-roi, bundle {bundle.manifest.name}",
        "software_versions": __version__,
        "device_serial_number": bundle.fingerprint,
        "content_qualification": "RESEARCH",
    }
