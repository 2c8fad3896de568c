"""DICOM out: the report and the picture, read back as others read them."""

import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from boneage_roi.errors import InputError
from boneage_roi.outputs.files import OutputFiles
from boneage_roi.pipeline.batch import Outcome
from boneage_roi.pipeline.bundle import Bundle
from boneage_roi.pipeline.inputs import list_inputs
from boneage_roi.pipeline.item import Item
from tests.bundles import write_toy_bundle
from tests.outputs.studies import outcome, study

highdicom = pytest.importorskip("highdicom", reason="needs the extra dicom")

from boneage_roi.outputs.dicom import DicomSink, dicom_objects  # noqa: E402
from boneage_roi.outputs.fhir import fhir_bundle  # noqa: E402


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return Bundle.load(write_toy_bundle(tmp_path_factory.mktemp("toy") / "bundle"))


def written(folder: Path, one: Outcome, bundle: Bundle) -> DicomSink:
    sink = DicomSink(folder / "out", [one.item], OutputFiles("predict", [one.item.path]), bundle)
    sink.open()
    sink.write(one)
    sink.close(True)
    return sink


@pytest.fixture
def made(tmp_path: Path, bundle: Bundle) -> tuple[Dataset, Path, Path]:
    """The source, the report and the picture of a study."""
    source = study(tmp_path / "hand.dcm")
    written(tmp_path, outcome(tmp_path / "hand.dcm"), bundle)
    return source, tmp_path / "out/hand-sr.dcm", tmp_path / "out/hand-sc.dcm"


def numbers(item: Dataset, found: dict[str, float] | None = None) -> dict[str, float]:
    """Every number of a report by its code, the first of each."""
    found = {} if found is None else found
    for child in item.get("ContentSequence", ()):
        if child.ValueType == "NUM":
            value = child.MeasuredValueSequence[0]
            code = child.ConceptNameCodeSequence[0].CodeValue
            found.setdefault(f"{code} {value.MeasurementUnitsCodeSequence[0].CodeValue}", float(value.NumericValue))
        numbers(child, found)
    return found


def test_the_report_says_what_was_found(made: tuple[Dataset, Path, Path]) -> None:
    said = numbers(dcmread(made[1]))
    assert (said["85151-9 mo"], said["121033 mo"], said["difference mo"]) == (150, 120, 30)
    assert (said["121416 1"], said["373098007 mo"], said["121414 mo"]) == (2.48, 125.68, 9.79)
    assert (said["385524004 mo"], said["371933006 mo"]) == (106.1, 145.26)
    assert (said["interval-lower mo"], said["interval-upper mo"], said["adult-height cm"]) == (140, 160, 169.08)


def test_highdicom_reads_it_back(made: tuple[Dataset, Path, Path]) -> None:
    report = highdicom.sr.srread(made[1])
    assert isinstance(report, highdicom.sr.Comprehensive3DSR)
    groups = report.content.get_image_measurement_groups()
    assert [group.tracking_identifier for group in groups] == ["Bone age", "hand", "carpal", "epiphysis"]
    ages = [group.get_measurements()[0].value for group in groups]
    assert ages == [150, 148, 145, 152]
    words = {item.name.value: item.value.meaning for item in groups[0].get_qualitative_evaluations()}
    assert words["determination"] == "Advanced bone age"
    assert words["flag"] == "inverted"
    assert "Research use" in words["qualification"]
    assert {item.name.value for item in groups[0].get_measurements()} >= {"85151-9", "121416", "difference"}


def test_region_boxes_are_image_regions(made: tuple[Dataset, Path, Path]) -> None:
    report = highdicom.sr.srread(made[1])
    boxes = report.content.get_planar_roi_measurement_groups()
    assert [group.tracking_identifier for group in boxes] == ["carpal 1", "epiphysis 2", "epiphysis 3"]
    assert all(group.finding_sites[0].topographical_modifier is None for group in boxes)
    corners = boxes[0].roi.value
    # The middle of pixel (10, 20) lies half a pixel from its corner.
    np.testing.assert_allclose(corners, [[10.5, 20.5], [30.5, 20.5], [30.5, 40.5], [10.5, 40.5], [10.5, 20.5]])


def test_boxes_of_oblong_pixels_lie_in_the_stored_image(tmp_path: Path, bundle: Bundle) -> None:
    study(tmp_path / "hand.dcm", ImagerPixelSpacing=[0.1, 0.2])  # columns twice as far apart: twice as wide when square
    written(tmp_path, outcome(tmp_path / "hand.dcm"), bundle)
    report = highdicom.sr.srread(tmp_path / "out/hand-sr.dcm")
    corners = report.content.get_planar_roi_measurement_groups()[0].roi.value
    np.testing.assert_allclose(corners[:2], [[5.25, 20.5], [15.25, 20.5]], atol=0.01)


def test_same_study_own_series_same_patient(made: tuple[Dataset, Path, Path]) -> None:
    source, report, picture = made[0], dcmread(made[1]), dcmread(made[2])
    for dataset in (report, picture):
        for keyword in ("PatientName", "PatientID", "PatientBirthDate", "StudyInstanceUID", "AccessionNumber"):
            assert dataset[keyword].value == source[keyword].value
        assert dataset.SeriesInstanceUID not in (source.SeriesInstanceUID, "")
        assert dataset.ContentQualification == "RESEARCH"
    assert report.SeriesInstanceUID != picture.SeriesInstanceUID
    evidence = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    assert evidence.SeriesInstanceUID == source.SeriesInstanceUID
    assert evidence.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID
    assert picture.SourceImageSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID
    assert picture.pixel_array.shape[2] == 3
    assert (report.CompletionFlag, report.VerificationFlag) == ("COMPLETE", "UNVERIFIED")


def test_the_same_finding_has_the_same_uids(tmp_path: Path, bundle: Bundle) -> None:
    study(tmp_path / "hand.dcm")
    uids = []
    for months in (150, 150, 151):
        written(tmp_path, outcome(tmp_path / "hand.dcm", months), bundle)
        uids.append(dcmread(tmp_path / "out/hand-sr.dcm").SOPInstanceUID)
    assert uids[0] == uids[1] != uids[2]


@pytest.mark.parametrize("program", ["dsrdump", "dciodvfy"])
def test_validators_find_no_error(made: tuple[Dataset, Path, Path], program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"needs {program}")
    for path in made[1:2] if program == "dsrdump" else made[1:]:
        done = subprocess.run([program, str(path)], capture_output=True, text=True, check=False)
        assert done.returncode == 0
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith(("Error", "E:", "F:"))]
        assert said == []
        if program == "dsrdump":
            assert '"Bone age")="150.0" (mo,UCUM,"month")' in done.stdout


def test_a_file_without_a_study_gets_none_and_is_named(tmp_path: Path, bundle: Bundle) -> None:
    study(tmp_path / "hand.dcm", StudyInstanceUID=None)
    sink = written(tmp_path, outcome(tmp_path / "hand.dcm"), bundle)
    assert sink.skipped == [str(tmp_path / "hand.dcm")]
    assert not (tmp_path / "out").exists()


def test_an_image_without_a_bone_age_gets_none(tmp_path: Path, bundle: Bundle) -> None:
    sink = written(tmp_path, Outcome(Item("nowhere.dcm"), message="nowhere.dcm: no such file"), bundle)
    assert (sink.skipped, (tmp_path / "out").exists()) == ([], False)


def test_a_bare_header_is_enough(tmp_path: Path, bundle: Bundle) -> None:
    empty = {"PatientName": None, "PatientID": None, "StudyTime": None, "Modality": None, "Laterality": None}
    study(tmp_path / "hand.dcm", **empty)
    written(tmp_path, outcome(tmp_path / "hand.dcm", flags=()), bundle)
    assert numbers(dcmread(tmp_path / "out/hand-sr.dcm"))["85151-9 mo"] == 150


def test_a_missing_package_is_named(tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "highdicom", None)
    monkeypatch.setattr("boneage_roi.outputs.extras.find_spec", lambda name: None)
    sink = DicomSink(tmp_path, [Item("a.dcm")], OutputFiles("predict"), bundle)
    with pytest.raises(InputError, match=r'needs highdicom; install it with: pip install "boneage-roi\[dicom\]"'):
        sink.open()


@pytest.mark.parametrize("kind", ["tar", "zip", "store"])
def test_a_study_in_an_archive_or_a_store_gets_the_report_of_the_file(
    tmp_path: Path, bundle: Bundle, kind: str
) -> None:
    pytest.importorskip("fsspec")
    pytest.importorskip("fhir", reason="needs the extra fhir")
    place = archived(study_file := tmp_path / "hand.dcm", kind)
    one = outcome(study_file)
    expected = about(one, bundle)
    (item,) = list_inputs(place)
    study_file.unlink()
    moved = replace(one, item=item)
    assert about(moved, bundle) == expected
    assert not written(tmp_path, moved, bundle).skipped
    assert sorted(path.name for path in (tmp_path / "out").glob("*.dcm")) == ["hand-sc.dcm", "hand-sr.dcm"]
    resources = fhir_bundle(moved, bundle)
    assert resources is not None
    assert "urn:dicom:uid" in json.dumps(resources["entry"][1]["resource"]["imagingStudy"])


def about(one: Outcome, bundle: Bundle) -> list[str]:
    """Of both objects whom and what they are about; their own identifiers rest on all that they say."""
    made = dicom_objects(one, bundle)
    assert made is not None
    keywords = ("SOPInstanceUID", "StudyInstanceUID", "PatientID", "PatientName", "StudyDate", "AccessionNumber")
    return [str(dataset[keyword]) for dataset in made for keyword in keywords]


def archived(path: Path, kind: str) -> str:
    """A study at a path, and in an archive beside it or a store in memory."""
    study(path)
    if kind == "store":
        import fsspec

        fsspec.filesystem("memory").pipe("/studies/hand.dcm", path.read_bytes())
        return "memory://studies/hand.dcm"
    archive = path.with_name(f"many.{kind}")
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as zipped:
            zipped.write(path, "series/hand.dcm")
    else:
        with tarfile.open(archive, "w") as tar:
            tar.add(path, "series/hand.dcm")
    return str(archive)
