"""FHIR out: the resources are valid R4 and say what the record says."""

import json
from pathlib import Path
from typing import Any

import pytest

from boneage_roi.errors import InputError
from boneage_roi.outputs.files import OutputFiles
from boneage_roi.pipeline.batch import Outcome
from boneage_roi.pipeline.bundle import Bundle
from boneage_roi.pipeline.item import Item
from tests.bundles import write_toy_bundle
from tests.outputs.studies import outcome, study

pytest.importorskip("fhir.resources", reason="needs the extra fhir")

from boneage_roi.outputs.fhir import FhirSink


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return Bundle.load(write_toy_bundle(tmp_path_factory.mktemp("toy") / "bundle"))


def resources(folder: Path, one: Outcome, bundle: Bundle) -> tuple[dict[str, Any], dict[str, Any]]:
    sink = FhirSink(folder / "out", [one.item], OutputFiles("predict", [one.item.path]), bundle)
    sink.open()
    sink.write(one)
    sink.close(True)
    entries = json.loads((folder / "out/hand.json").read_text())["entry"]
    assert entries[1]["resource"]["result"] == [{"reference": entries[0]["fullUrl"]}]
    return entries[0]["resource"], entries[1]["resource"]


def components(observation: dict[str, Any]) -> dict[str, Any]:
    return {one["code"]["coding"][0]["code"]: one for one in observation["component"]}


def test_the_observation_says_what_was_found(tmp_path: Path, bundle: Bundle) -> None:
    source = study(tmp_path / "hand.dcm")
    observation, report = resources(tmp_path, outcome(tmp_path / "hand.dcm"), bundle)
    assert observation["code"]["coding"][0]["code"] == "85151-9"
    assert observation["valueQuantity"] == {
        "value": 150.0,
        "unit": "mo",
        "system": "http://unitsofmeasure.org",
        "code": "mo",
    }
    assert observation["interpretation"][0]["coding"][0]["code"] == "H"
    assert observation["referenceRange"][0]["low"]["value"] == 106.1
    found = components(observation)
    assert found["sds"]["valueQuantity"]["value"] == 2.48
    assert found["difference_months"]["valueQuantity"]["value"] == 30
    assert found["adult_height_cm"]["valueQuantity"]["value"] == 169.08
    assert found["regions.carpal"]["valueQuantity"]["value"] == 145
    assert found["determination"]["valueCodeableConcept"]["text"] == "advanced"
    assert observation["effectiveDateTime"] == report["effectiveDateTime"] == "2020-01-01"
    assert observation["subject"]["identifier"]["value"] == "C1"
    study_uid = f"urn:oid:{source.StudyInstanceUID}"
    assert observation["derivedFrom"][0]["identifier"]["value"] == study_uid
    assert report["imagingStudy"][0]["identifier"]["value"] == study_uid
    assert "advanced, but the 90 % interval includes normal" in report["conclusion"]
    assert "Test" not in json.dumps([observation, report]), "the name of the patient"


def test_other_readers_take_it(tmp_path: Path, bundle: Bundle) -> None:
    from fhir.resources.R4B.diagnosticreport import DiagnosticReport
    from fhir.resources.R4B.observation import Observation

    study(tmp_path / "hand.dcm")
    observation, report = resources(tmp_path, outcome(tmp_path / "hand.dcm"), bundle)
    assert Observation.model_validate(observation).status == "preliminary"
    coding = DiagnosticReport.model_validate(report).code.coding
    assert coding
    assert coding[0].code == "37362-1"
    with pytest.raises(ValueError, match="status"):
        Observation.model_validate({key: value for key, value in observation.items() if key != "status"})


def test_without_an_age_there_is_no_interpretation(tmp_path: Path, bundle: Bundle) -> None:
    study(tmp_path / "hand.dcm", PatientBirthDate="", PatientSize=None, PatientID="", StudyDate="")
    observation, _ = resources(tmp_path, outcome(tmp_path / "hand.dcm", flags=()), bundle)
    assert not observation.keys() & {"interpretation", "referenceRange", "subject", "effectiveDateTime"}
    assert not components(observation).keys() & {"sds", "difference_months", "adult_height_cm"}
    assert components(observation)["determination"]["valueCodeableConcept"]["text"] == "indeterminate"


def test_a_missing_package_is_named(tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("boneage_roi.outputs.extras.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r'pip install "boneage-roi\[fhir\]"'):
        FhirSink(tmp_path, [Item("a.dcm")], OutputFiles("predict"), bundle).open()
